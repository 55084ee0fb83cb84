//! Errors as this dialect says them: an envelope with a number.

use std::fmt;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use backup_core::Error;

use super::convert;
use super::dto::{Empty, Envelope};

/// A number of the original with its explanation and its HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(i64, StatusCode, &'static str);

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $text:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: Number = Number($code, StatusCode::$status, $text);)*
    };
}

numbers! {
    PANIC = -1, INTERNAL_SERVER_ERROR, "panic";
    UNRECOGNIZED = 10000, INTERNAL_SERVER_ERROR, "unrecognized error";
    PARAMETER = 10001, BAD_REQUEST, "parameter is invalid";
    CLUSTER_NOT_FOUND = 10003, NOT_FOUND, "cluster not found";
    MARSHAL = 10004, BAD_REQUEST, "marshal error";
    MAINTENANCE = 20114, CONFLICT, "maintenance status conflict";
    CREATE_FAILED = 20602, INTERNAL_SERVER_ERROR, "create backup record failed";
    DELETE_FAILED = 20603, INTERNAL_SERVER_ERROR, "delete backup record failed";
    QUERY_FAILED = 20604, INTERNAL_SERVER_ERROR, "query backup record failed";
    STRATEGY_SAVE = 20605, INTERNAL_SERVER_ERROR, "save backup strategy failed";
    STRATEGY_QUERY = 20606, INTERNAL_SERVER_ERROR, "query backup strategy failed";
    REMOVE_FAILED = 20608, INTERNAL_SERVER_ERROR, "remove backup file failed";
    RECORD_INVALID = 20610, BAD_REQUEST, "backup record invalid";
    CANCEL_FAILED = 20611, INTERNAL_SERVER_ERROR, "cancel backup record failed";
    WORKFLOW_QUERY = 40102, INTERNAL_SERVER_ERROR, "query workflow failed";
    WORKFLOW_START = 40103, INTERNAL_SERVER_ERROR, "start workflow failed";
    UNAUTHORIZED = 70600, UNAUTHORIZED, "unauthorized";
    EXPIRED = 70602, UNAUTHORIZED, "access token has been expired";
    FORBIDDEN = 70650, FORBIDDEN, "rbac permission check failed";
}

impl Number {
    /// With what there is to say about it.
    pub(super) fn because(self, detail: impl Into<String>) -> Failure {
        Failure { number: self, status: self.1, detail: detail.into() }
    }

    /// With the error underneath.
    pub(super) fn caused(self, error: &Error) -> Failure {
        self.because(error.to_string())
    }
}

/// An answer that is no success.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    number: Number,
    status: StatusCode,
    detail: String,
}

impl Failure {
    /// With another HTTP status than the original's.
    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(super) fn is(&self, number: Number) -> bool {
        self.number == number
    }

    /// What it says beside the number.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// A status that something else than a handler decided.
    pub(super) fn of_status(status: StatusCode, detail: impl Into<String>) -> Self {
        let number = match status {
            StatusCode::INTERNAL_SERVER_ERROR => PANIC,
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => MARSHAL,
            StatusCode::UNAUTHORIZED => UNAUTHORIZED,
            StatusCode::FORBIDDEN => FORBIDDEN,
            _ => UNRECOGNIZED,
        };
        number.because(detail).status(status)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]{}\t{}", self.number.0, self.number.2, self.detail)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(code = self.number.0, "{}", self.detail);
        }
        let envelope = Envelope { code: self.number.0, message: self.to_string(), data: Empty {}, page: None };
        convert::json(self.status, &envelope)
    }
}
