//! The calls of a multipart upload.

use std::fmt::Write as _;
use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::{Bytes, Effect, Error, JobContext, Result};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;

use super::codes;
use super::error::Refusal;
use super::wire::{Ask, Wire};
use super::xml::document;

/// How often an upload is completed anew when the server says inside of a good answer that it failed.
const COMPLETIONS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes a second at which the slowest server puts parts together.
const SLOWEST_JOIN: u64 = 16 << 20;

/// A multipart upload at the server.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) wire: Wire,
    /// The name of the object.
    pub(super) name: String,
    pub(super) id: String,
}

/// A part that the server has.
#[derive(Debug, Clone)]
pub(super) struct Part {
    number: u32,
    etag: String,
    checksum: HeaderValue,
}

impl Part {
    pub(super) fn number(&self) -> u32 {
        self.number
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    upload_id: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Page {
    is_truncated: bool,
    next_key_marker: String,
    next_upload_id_marker: String,
    #[serde(rename = "Upload")]
    uploads: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    key: String,
    upload_id: String,
}

impl Upload {
    /// Begins an upload (CreateMultipartUpload).
    pub(super) async fn create(wire: &Wire, cx: &JobContext, name: String, headers: HeaderMap) -> Result<Self> {
        let ask = Ask::new("CreateMultipartUpload", Method::POST, name.as_str()).query("uploads", "");
        let ask = ask.headers(headers).header("x-amz-checksum-algorithm", HeaderValue::from_static("CRC32"));
        let answer = wire.ask(cx, ask).await?;
        let created: Created = document(answer.body())?;
        Ok(Self { wire: wire.clone(), name, id: created.upload_id })
    }

    /// Sends a part; sending the same number again replaces it (UploadPart).
    pub(super) async fn part(&self, cx: &JobContext, number: u32, pieces: Vec<Bytes>, checksum: HeaderValue) -> Result<Part> {
        let ask = Ask::new("UploadPart", Method::PUT, self.name.as_str())
            .query("partNumber", number.to_string())
            .query("uploadId", self.id.as_str())
            .body(pieces, checksum.clone());
        let answer = self.wire.ask(cx, ask).await?;
        let etag = answer.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok());
        let etag =
            etag.ok_or_else(|| Error::new(&backup_remote::codes::ANSWER, "the server took a part without naming its ETag"))?;
        Ok(Part { number, etag: etag.to_owned(), checksum })
    }

    /// Makes the object of these parts, in order, `size` bytes together (CompleteMultipartUpload). There are servers that copy them into one
    /// file before they answer.
    ///
    /// # Errors
    /// The server may also say in the body of a good answer that it failed.
    pub(super) async fn complete(&self, cx: &JobContext, parts: &[Part], size: u64, if_absent: bool) -> Result<()> {
        let mut list = String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        for part in parts {
            let (number, sum) = (part.number, part.checksum.to_str().unwrap_or_default());
            let etag = quick_xml::escape::escape(part.etag.as_str());
            let _ = write!(
                list,
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><ChecksumCRC32>{sum}</ChecksumCRC32></Part>"
            );
        }
        list.push_str("</CompleteMultipartUpload>");
        let body = vec![Bytes::from(list)];
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut ask =
                Ask::new("CompleteMultipartUpload", Method::POST, self.name.as_str()).query("uploadId", self.id.as_str());
            // A checksum header would be taken for the object's own here.
            ask = ask.plain_body(body.clone()).patience(Duration::from_secs(size / SLOWEST_JOIN));
            if if_absent {
                ask = ask.header("if-none-match", HeaderValue::from_static("*"));
            }
            let answer = self.wire.ask(cx, ask).await?;
            let refusal = Refusal::of(answer.body().trim_ascii_start());
            if refusal.code.is_empty() {
                return Ok(());
            }
            let error = self.wire.named("CompleteMultipartUpload", refusal.error(StatusCode::BAD_REQUEST, answer.headers()));
            if error.code() != &core_codes::STORE_UNAVAILABLE {
                return Err(error);
            }
            if attempts >= COMPLETIONS {
                return Err(error.with_effect(Effect::Unknown));
            }
            cx.sleep(PAUSE * attempts).await.map_err(|error| error.with_effect(Effect::Unknown))?;
        }
    }

    /// Gives the upload up, with all its parts (AbortMultipartUpload). Fine when it is gone already.
    pub(super) async fn abort(&self, cx: &JobContext) -> Result<()> {
        let ask = Ask::new("AbortMultipartUpload", Method::DELETE, self.name.as_str()).query("uploadId", self.id.as_str());
        match self.wire.ask(cx, ask).await {
            Err(error) if error.code() != &codes::S3_UPLOAD_GONE && !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// The unfinished uploads of the object `name` (ListMultipartUploads).
    pub(super) async fn of(wire: &Wire, cx: &JobContext, name: &str) -> Result<Vec<Self>> {
        let (mut found, mut key_marker, mut id_marker) = (Vec::new(), String::new(), String::new());
        loop {
            let mut ask = Ask::new("ListMultipartUploads", Method::GET, "").query("uploads", "");
            ask = ask.query("prefix", name);
            if !key_marker.is_empty() {
                ask = ask.query("key-marker", key_marker.as_str()).query("upload-id-marker", id_marker.as_str());
            }
            let answer = wire.ask(cx, ask).await?;
            let page: Page = document(answer.body())?;
            for upload in page.uploads {
                if upload.key == name {
                    found.push(Self { wire: wire.clone(), name: name.to_owned(), id: upload.upload_id });
                }
            }
            if !page.is_truncated || (page.next_key_marker == key_marker && page.next_upload_id_marker == id_marker) {
                return Ok(found);
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
        }
    }
}
