//! What every answer of the dialect carries: the id of the trace, and an envelope also when no handler was asked.

use axum::Router;
use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use backup_core::environment::SystemRandom;

use super::errors::Failure;
use super::id::RecordId;

/// The header by which a client calls its request, and which every answer carries.
pub const TRACE_ID: HeaderName = HeaderName::from_static("em-x-trace-id");

/// Characters of a trace id at most; a longer one is replaced.
const LONGEST: usize = 128;

/// Under this prefix everything is the dialect's.
const OURS: &str = "/api/v1/";

/// Goes around everything else of a server: gives each request below `/api/v1/` its trace id, and puts an envelope around what other
/// layers refuse.
pub fn dress(router: Router) -> Router {
    router.layer(from_fn(dressed))
}

async fn dressed(mut request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(OURS) {
        return next.run(request).await;
    }
    let trace = given(request.headers()).unwrap_or_else(made);
    request.headers_mut().insert(TRACE_ID, trace.clone());
    let mut answer = enveloped(next.run(request).await);
    answer.headers_mut().insert(TRACE_ID, trace);
    answer
}

fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(TRACE_ID).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let sane = (1..=LONGEST).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    sane.then(|| value.clone())
}

/// 22 characters, as the original makes them.
fn made() -> HeaderValue {
    HeaderValue::from_str(&RecordId::random(&SystemRandom).to_string()).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// Errors of layers and of the server have no envelope.
fn enveloped(answer: Response) -> Response {
    let status = answer.status();
    let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
    if !(status.is_client_error() || status.is_server_error()) || answer.headers().get(CONTENT_TYPE).is_some_and(is_json) {
        return answer;
    }
    let text = match status {
        StatusCode::INTERNAL_SERVER_ERROR => "an internal error: the log of the server says where",
        StatusCode::PAYLOAD_TOO_LARGE => "the request's body is too large",
        StatusCode::SERVICE_UNAVAILABLE => "too many requests at once",
        StatusCode::METHOD_NOT_ALLOWED => "this resource does not have that method",
        StatusCode::NOT_FOUND => "there is no such resource",
        _ => status.canonical_reason().unwrap_or("refused"),
    };
    let mut enveloped = Failure::of_status(status, text).into_response();
    for name in [ALLOW, RETRY_AFTER] {
        if let Some(value) = answer.headers().get(&name) {
            enveloped.headers_mut().insert(name, value.clone());
        }
    }
    enveloped
}
