//! Answers that are no job, in the words of the original, and how bodies are written.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use backup_core::Error;
use serde::Serialize;

use super::dto::{Failed, Polled};
use super::record::Record;
use super::stage::Operation;
use super::work::Progress;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// JSON as Go writes it: characters that mean something to HTML are escaped, and a line end follows.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let Ok(text) = serde_json::to_string(value) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut body = String::with_capacity(text.len() + 64);
    // All of them stand in strings alone.
    for c in text.chars() {
        match c {
            '<' => body.push_str("\\u003c"),
            '>' => body.push_str("\\u003e"),
            '&' => body.push_str("\\u0026"),
            '\u{2028}' => body.push_str("\\u2028"),
            '\u{2029}' => body.push_str("\\u2029"),
            c => body.push(c),
        }
    }
    body.push('\n');
    typed(status, body)
}

fn typed(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, JSON)], body.into()).into_response()
}

/// A job as polling shows it.
pub(super) fn polled(status: StatusCode, record: Record, progress: Progress) -> Response {
    json(status, &Polled::job(record, progress))
}

/// A job was taken on.
pub(super) fn created() -> Response {
    typed(StatusCode::CREATED, Body::empty())
}

/// A body that cannot be used.
pub(super) fn refused(operation: Operation, why: String) -> Response {
    json(StatusCode::BAD_REQUEST, &Polled::refused(operation, why))
}

pub(super) fn busy() -> Response {
    json(StatusCode::TOO_MANY_REQUESTS, &Failed::busy())
}

pub(super) fn internal(error: &Error) -> Response {
    tracing::error!(%error, "a request failed");
    json(StatusCode::INTERNAL_SERVER_ERROR, &Failed::internal(error))
}

/// Wrong credentials, byte for byte as the original.
pub(super) fn unauthorised() -> Response {
    typed(StatusCode::UNAUTHORIZED, "{ \"message\" : \"Unauthorised.\" }")
}

pub(super) fn running() -> Response {
    typed(StatusCode::OK, "{ \"message\" : \"Client is running\" }")
}

/// What Go's router says where nothing is.
pub(super) fn page_not_found() -> Response {
    let mut answer = (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
