//! What every answer of the dialect carries: a message also when no handler was asked.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};

use super::errors::Failure;

/// Under this prefix everything is the dialect's.
const OURS: &str = "/v1/";

/// Set on an answer that came from elsewhere, which is not touched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Foreign;

/// Goes around everything else of a server: makes what other layers refuse below `/v1/` a message of JSON.
pub fn dress(router: Router) -> Router {
    router.layer(from_fn(dressed))
}

async fn dressed(request: Request, next: Next) -> Response {
    let ours = request.uri().path().starts_with(OURS);
    let answer = next.run(request).await;
    if ours { with_message(answer) } else { answer }
}

fn with_message(answer: Response) -> Response {
    let status = answer.status();
    let foreign = answer.extensions().get::<Foreign>().is_some();
    let is_json = |value: &axum::http::HeaderValue| value.as_bytes().starts_with(b"application/json");
    let failed = status.is_client_error() || status.is_server_error();
    if foreign || !failed || answer.headers().get(CONTENT_TYPE).is_some_and(is_json) {
        return answer;
    }
    let text = match status {
        StatusCode::INTERNAL_SERVER_ERROR => "Internal Server Error! The log of the server says where.",
        StatusCode::PAYLOAD_TOO_LARGE => "The request body is too large!",
        StatusCode::SERVICE_UNAVAILABLE => "Too many requests at once!",
        _ => status.canonical_reason().unwrap_or("Refused"),
    };
    let mut dressed = Failure::new(status, text).into_response();
    for name in [ALLOW, RETRY_AFTER] {
        if let Some(value) = answer.headers().get(&name) {
            dressed.headers_mut().insert(name, value.clone());
        }
    }
    dressed
}
