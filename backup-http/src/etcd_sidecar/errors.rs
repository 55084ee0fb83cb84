//! Refusals, in the words and with the status codes of the original.

use axum::http::header::{ALLOW, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use backup_core::compat::MinorVersion;
use backup_core::error::codes;
use backup_core::{Error, ErrorKind};

use super::naming::FileName;
use super::version::Misfit;

/// An answer that is not what was asked for: plain text, one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    text: String,
    allow: Option<HeaderValue>,
}

impl Refusal {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), allow: None }
    }

    /// What Go's server says where nothing is.
    pub(super) fn page_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "404 page not found")
    }

    pub(super) fn backup_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "backup not found")
    }

    pub(super) fn method_not_allowed(allowed: &[Method]) -> Self {
        let allow = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        Self { allow: HeaderValue::from_str(&allow).ok(), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed") }
    }

    pub(super) fn timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout")
    }

    pub(super) fn bad_query(what: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what)
    }

    pub(super) fn bad_revision() -> Self {
        // The spelling is the original's.
        Self::new(StatusCode::BAD_REQUEST, "revision is not a vaild integer")
    }

    pub(super) fn version_missing() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "version must be provided when revision is provided.")
    }

    pub(super) fn misfit(misfit: Misfit, name: FileName<'_>, requested: &str) -> Self {
        let minor = |(major, minor): MinorVersion| format!("{major}.{minor}");
        match misfit {
            Misfit::Stored(why) => {
                let text = format!("fail to parse etcd version from file ({}): {why}", name.text);
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
            Misfit::Requested(why) => Self::new(StatusCode::BAD_REQUEST, format!("invalid param 'version' ({requested}): {why}")),
            Misfit::Incompatible { requested, stored } => Self::new(
                StatusCode::BAD_REQUEST,
                format!("requested version ({}) is not compatible with the backup ({})", minor(requested), minor(stored)),
            ),
        }
    }

    /// The backups could not be listed.
    pub(super) fn list(error: &Error) -> Self {
        tracing::error!(%error, "the backups could not be listed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    /// One could not be read.
    pub(super) fn read(error: &Error) -> Self {
        if error.is_not_found() || *error.code() == codes::ARTIFACT_MISSING {
            return Self::backup_not_found();
        }
        tracing::error!(%error, "a backup could not be read");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    /// `/v1/status` failed.
    pub(super) fn status(error: &Error) -> Self {
        tracing::error!(%error, "the backups could not be listed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed to get total number of backups")
    }

    /// Making a backup failed. The details that the original's words leave out are in the log and in the job's record.
    pub(super) fn save(error: &Error) -> Self {
        tracing::error!(%error, "a backup that was asked for failed");
        let text = match error.code().name {
            // It asked each member, and left out whom it could not talk to.
            "etcd.unreachable" | "etcd.tls" | "etcd.login" if !error.message().starts_with("receiving") => {
                "no reachable member".to_owned()
            }
            _ if error.kind() == ErrorKind::InvalidInput => format!("create etcd client failed: {error}"),
            _ => format!("write snapshot failed: {error}"),
        };
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        // One line: what a client sent is part of some texts.
        let line: String = self.text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let mut answer = (self.status, line + "\n").into_response();
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.extend(self.allow.map(|allow| (ALLOW, allow)));
        answer
    }
}
