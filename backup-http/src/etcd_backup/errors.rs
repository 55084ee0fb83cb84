//! Errors as this dialect says them.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use backup_core::error::codes;
use backup_core::{Error, ErrorKind};

use super::convert::json;
use super::dto::Failure;
use crate::access::RequestId;

pub(super) const LIST: &str = "failed to list etcd backups";
pub(super) const READ: &str = "failed to read an etcd backup";
pub(super) const SAVE: &str = "failed to save an etcd backup";

/// An answer that is no success.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Failure,
}

impl Refusal {
    fn new(status: StatusCode, message: &'static str, error: String, id: &RequestId) -> Self {
        let body = Failure { message, error, status: status.as_u16(), request_id: id.to_string() };
        Self { status, body }
    }

    /// What was asked for is not there.
    pub(super) fn not_found(id: &RequestId) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not found", "requested resource is not found".to_owned(), id)
    }

    /// The resource is there, the method is not.
    pub(super) fn wrong_method(id: &RequestId) -> Self {
        let why = "this resource does not have that method".to_owned();
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", why, id)
    }

    /// `message` is what was tried; the cause is logged with the request's id, where whoever looks for it finds it.
    pub(super) fn failed(message: &'static str, error: &Error, id: &RequestId) -> Self {
        tracing::error!(%error, request_id = %id, "{message}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message, error.to_string(), id)
    }

    /// A backup that was there a moment ago may have been rotated away since, and somebody may have removed its file by hand.
    pub(super) fn unreadable(error: &Error, id: &RequestId) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::not_found(id),
            _ if *error.code() == codes::ARTIFACT_MISSING => Self::not_found(id),
            _ => Self::failed(READ, error, id),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        json(self.status, &self.body)
    }
}
