//! From an answer of the server to an error that says what to do.

use backup_core::Error;
use backup_core::error::{Code, codes as core_codes};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::codes;

/// The document that S3 answers with when something is wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) region: String,
}

impl Refusal {
    /// Reads an error document; an empty one where the answer holds none.
    pub(super) fn of(body: &[u8]) -> Self {
        quick_xml::de::from_reader(body).unwrap_or_default()
    }

    /// The error of a status and this document. Effect none: the server answered that it did not do it.
    pub(super) fn error(&self, status: StatusCode, headers: &HeaderMap) -> Error {
        let said = match (self.code.is_empty(), self.message.is_empty()) {
            (true, _) => status.to_string(),
            (false, true) => format!("{status}, {}", self.code),
            (false, false) => format!("{status}, {}: {}", self.code, self.message.trim_end_matches('.')),
        };
        let code = self.class(status);
        let advice = if code == &codes::S3_REGION {
            let header = headers.get("x-amz-bucket-region").and_then(|value| value.to_str().ok());
            match header.or(Some(self.region.as_str())).filter(|region| !region.is_empty()) {
                Some(region) => format!("; the bucket's region is {region}"),
                None => String::new(),
            }
        } else {
            String::new()
        };
        Error::new(code, format!("the server answered {said}{advice}"))
    }

    fn class(&self, status: StatusCode) -> &'static Code {
        match self.code.as_str() {
            "NoSuchBucket" | "InvalidBucketName" => &codes::S3_NO_BUCKET,
            "NoSuchKey" | "NotFound" => &core_codes::STORE_NOT_FOUND,
            "NoSuchUpload" => &codes::S3_UPLOAD_GONE,
            "PreconditionFailed" => &core_codes::STORE_EXISTS,
            "ConditionalRequestConflict" | "OperationAborted" => &codes::S3_CONFLICT,
            "SignatureDoesNotMatch"
            | "InvalidAccessKeyId"
            | "InvalidSecurity"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId" => &codes::S3_CREDENTIALS,
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "InvalidToken" => &codes::S3_EXPIRED,
            "RequestTimeTooSkewed" | "RequestExpired" => &codes::S3_CLOCK,
            "PermanentRedirect"
            | "TemporaryRedirect"
            | "Redirect"
            | "AuthorizationHeaderMalformed"
            | "IllegalLocationConstraintException"
            | "IncorrectEndpoint" => &codes::S3_REGION,
            "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" => &codes::S3_DIGEST,
            "QuotaExceeded" | "QuotaExceededException" | "InsufficientStorage" | "XMinioStorageFull" | "NoSpaceLeft" => {
                &core_codes::STORE_NO_SPACE
            }
            "NotImplemented" | "MethodNotAllowed" => &codes::S3_UNSUPPORTED,
            "InvalidRange" => &core_codes::INPUT_INVALID,
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => &core_codes::STORE_DENIED,
            "RequestTimeout" | "IncompleteBody" | "InternalError" | "SlowDown" | "ServiceUnavailable" => {
                &core_codes::STORE_UNAVAILABLE
            }
            _ => match status.as_u16() {
                300..=399 => &codes::S3_REGION,
                401 | 403 => &core_codes::STORE_DENIED,
                404 => &core_codes::STORE_NOT_FOUND,
                405 | 501 => &codes::S3_UNSUPPORTED,
                409 => &codes::S3_CONFLICT,
                412 => &core_codes::STORE_EXISTS,
                416 => &core_codes::INPUT_INVALID,
                507 => &core_codes::STORE_NO_SPACE,
                400..=499 => &codes::S3_REFUSED,
                _ => &core_codes::STORE_UNAVAILABLE,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> Error {
        Refusal::of(body.as_bytes()).error(StatusCode::from_u16(status).unwrap(), &HeaderMap::new())
    }

    #[test]
    fn what_people_get_wrong_has_a_code_of_its_own() {
        for (status, code, expected) in [
            (404, "NoSuchBucket", "s3.no_bucket"),
            (404, "NoSuchKey", "store.not_found"),
            (403, "SignatureDoesNotMatch", "s3.credentials"),
            (403, "InvalidAccessKeyId", "s3.credentials"),
            (403, "RequestTimeTooSkewed", "s3.clock"),
            (403, "AccessDenied", "store.denied"),
            (400, "AuthorizationHeaderMalformed", "s3.region"),
            (301, "PermanentRedirect", "s3.region"),
            (412, "PreconditionFailed", "store.exists"),
            (400, "BadDigest", "s3.digest"),
            (403, "QuotaExceeded", "store.no_space"),
            (400, "SomethingNew", "s3.refused"),
        ] {
            let error = error(
                status,
                &format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>why.</Message><Extra>1</Extra></Error>"),
            );
            assert_eq!(error.code().name, expected, "{code}");
            assert!(error.to_string().contains("why"), "{error}");
        }
        assert_eq!(error(403, "<html>a proxy").code().name, "store.denied");
        let region = error(301, "<Error><Code>PermanentRedirect</Code><Region>eu-central-1</Region></Error>").to_string();
        assert!(region.contains("the bucket's region is eu-central-1"), "{region}");
    }
}
