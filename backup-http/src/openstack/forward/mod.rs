//! Passing requests on to Cinder and Nova as they are.

mod body;
mod connect;
mod headers;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, Uri, Version};
use axum::response::{IntoResponse, Response};
use backup_core::{Result, async_trait};
use hyper::client::conn::http1;
use serde_json::json;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{Caller, Forward, Service};
use body::{AnswerBody, Broken, RequestBody};
use connect::{Address, Connector};

/// How requests are passed on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ForwardOptions {
    /// Certificates of authorities to trust besides the system's, as PEM.
    pub ca_file: Option<PathBuf>,
    /// The time to connect, TLS included; 10 s by default.
    pub connect_timeout: Duration,
    /// How long the service may do nothing: until its answer begins, counted from the last piece of the request's body, and between the
    /// pieces of its answer. 5 min by default.
    pub answer_timeout: Duration,
}

impl Default for ForwardOptions {
    fn default() -> Self {
        Self { ca_file: None, connect_timeout: Duration::from_secs(10), answer_timeout: Duration::from_secs(300) }
    }
}

impl ForwardOptions {
    /// Sets [`ForwardOptions::ca_file`].
    #[must_use]
    pub fn ca_file(mut self, file: Option<PathBuf>) -> Self {
        self.ca_file = file;
        self
    }

    /// Sets [`ForwardOptions::connect_timeout`].
    #[must_use]
    pub fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// Sets [`ForwardOptions::answer_timeout`].
    #[must_use]
    pub fn answer_timeout(mut self, time: Duration) -> Self {
        self.answer_timeout = time;
        self
    }
}

/// Passes requests on over HTTP/1.1. Cheap to clone.
///
/// # Behavior
/// - Method, query and body arrive as they came, the body piece by piece; status, header and body come back as they are. Nothing is
///   decompressed, no redirect is followed, nothing is sent twice.
/// - Left out of a request: what concerns one connection only (RFC 9110, 7.6.1: `Connection` and what it names, `Transfer-Encoding`, `TE`,
///   `Upgrade`, …), `Host`, `Expect` (answered here), and what says who calls: `X-Service-Token`, `X-Identity-*` and the other headers by
///   which Keystone's middleware speaks to the service behind it, `X-Forwarded-*`, `Forwarded`, `X-Real-IP`. Headers with an underscore in
///   their names are left out, too: behind WSGI they could not be told from those with a hyphen. `X-Auth-Token` is the caller's, once.
/// - Left out of an answer: what concerns one connection only.
/// - Each request has a connection of its own: one that was kept may just be closed by the other side, and then nobody knows whether the
///   service has worked on the request.
/// - 502 `{"message": …}` when the service cannot be reached, or breaks off before its answer begins; 504 when it does not begin in time;
///   503 when the caller's catalogue does not have it; 413 and 400 when the request's body is over the server's limit or does not come whole. An answer that breaks off later breaks off here, too.
#[derive(Clone)]
pub struct Forwarder {
    connector: Arc<Connector>,
    options: ForwardOptions,
}

impl Forwarder {
    /// # Errors
    /// `http.tls_file` when the file of authorities cannot be used.
    pub fn new(options: ForwardOptions) -> Result<Self> {
        Ok(Self { connector: Arc::new(Connector::new(options.ca_file.as_deref())?), options })
    }

    async fn pass(&self, address: &Address, mut request: Request, caller: &Caller) -> std::result::Result<Response, Failure> {
        headers::of_request(request.headers_mut(), address, caller)
            .map_err(|_| Failure::Unreachable("the token cannot be sent".into()))?;
        let length = request.headers().contains_key(axum::http::header::CONTENT_LENGTH);
        headers::length(&mut request, length);
        *request.version_mut() = Version::HTTP_11;
        // What layers and routes left there is ours.
        request.extensions_mut().clear();
        let connected = timeout(self.options.connect_timeout, self.connector.connect(address)).await;
        let io = connected.map_err(|_| Failure::Slow)?.map_err(|error| Failure::Unreachable(error.to_string()))?;
        let broken = |error: hyper::Error| Failure::Unreachable(chain(&error));
        let (mut sender, connection) = http1::handshake(io).await.map_err(broken)?;
        // Ends with the answer's body, or with whoever waits for it.
        let connection = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %chain(&error), "the connection of a forwarded request broke");
            }
        }));
        let limit = self.options.answer_timeout;
        let (body, mut moved) = RequestBody::new(std::mem::take(request.body_mut()));
        let request = request.map(|_| Body::new(body));
        let answer = tokio::select! {
            biased;
            answer = sender.send_request(request) => Some(answer),
            () = moved.stopped(limit) => None,
        };
        let Some(answer) = answer else { return Err(Failure::Slow) };
        let answer = answer.map_err(|error| moved.broken().map_or_else(|| broken(error), Failure::Caller))?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::Unreachable("it switched protocols, which nobody asked it to".to_owned()));
        }
        let (mut parts, incoming) = answer.into_parts();
        headers::of_answer(&mut parts.headers);
        // That of our own connection is its server's matter.
        parts.version = Version::default();
        Ok(Response::from_parts(parts, Body::new(AnswerBody::new(incoming, limit, connection))))
    }
}

#[async_trait]
impl Forward for Forwarder {
    async fn forward(&self, caller: &Caller, service: Service, path: &str, request: Request) -> Response {
        let (name, endpoint) = match service {
            Service::Volume => ("volume", &caller.volume_endpoint),
            Service::Compute => ("compute", &caller.compute_endpoint),
        };
        let Some(endpoint) = endpoint else {
            return said(StatusCode::SERVICE_UNAVAILABLE, &format!("The catalogue has no {name} service!"));
        };
        let target = Address::below(endpoint, path, request.uri().query());
        let (address, target): (Address, Uri) = match target {
            Ok(target) => target,
            Err(why) => {
                tracing::error!(service = name, %why, "the catalogue's endpoint cannot be used");
                return said(StatusCode::BAD_GATEWAY, &format!("The {name} service has no usable endpoint!"));
            }
        };
        let mut request = request;
        *request.uri_mut() = target;
        match self.pass(&address, request, caller).await {
            Ok(answer) => answer,
            Err(Failure::Caller(Broken::TooLong)) => said(StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large!"),
            Err(Failure::Caller(Broken::Cut)) => said(StatusCode::BAD_REQUEST, "The request body cannot be read!"),
            Err(Failure::Slow) => {
                tracing::warn!(service = name, host = %address.authority, "no answer to a forwarded request in time");
                said(StatusCode::GATEWAY_TIMEOUT, &format!("The {name} service did not answer in time!"))
            }
            Err(Failure::Unreachable(why)) => {
                tracing::warn!(service = name, host = %address.authority, %why, "a forwarded request has no answer");
                said(StatusCode::BAD_GATEWAY, &format!("The {name} service cannot be reached!"))
            }
        }
    }
}

/// Why there is no answer.
enum Failure {
    Caller(Broken),
    Unreachable(String),
    Slow,
}

fn said(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

/// An error with its causes, which hold no header and no URL.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder").field("options", &self.options).finish_non_exhaustive()
    }
}
