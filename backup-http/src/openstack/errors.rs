//! Errors as this dialect says them: `{"message": …}`, and the framework's form for a body of a wrong shape.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use backup_core::{Error, ErrorKind};
use serde_json::{Value, json};

use super::convert;

/// An answer that is no success.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    status: StatusCode,
    body: Value,
}

impl Failure {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, body: json!({ "message": message.into() }) }
    }

    /// 400: a value that cannot be used.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// A body or a query of the wrong shape, each fault with its place.
    pub(super) fn shape(faults: Vec<Value>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, body: json!({ "detail": faults }) }
    }

    /// What the cloud refused.
    pub(super) fn of_cloud(error: &Error) -> Self {
        let status = match error.kind() {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict | ErrorKind::AlreadyExists => StatusCode::CONFLICT,
            ErrorKind::NoSpace => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
            ErrorKind::PermissionDenied => StatusCode::FORBIDDEN,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }

    /// What failed here: the state, the store, the engine.
    pub(super) fn internal(error: &Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Conflict | ErrorKind::Cancelled | ErrorKind::NoSpace => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What it says.
    pub(super) fn message(&self) -> String {
        self.body.get("message").and_then(Value::as_str).map_or_else(|| self.body.to_string(), str::to_owned)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(status = self.status.as_u16(), "{}", self.message());
        }
        convert::json(self.status, &self.body)
    }
}

/// The beginning of what a client wrote, for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
