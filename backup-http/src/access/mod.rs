//! Request ids, and one log line for each request.

mod body;
mod escape;
mod id;
mod log;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{HeaderName, Request, Response};
use backup_core::environment::{Random, SystemRandom};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tracing::Instrument;
use tracing::instrument::Instrumented;

pub use id::RequestId;

use body::LoggedBody;
use log::Line;

/// A layer that gives each request a [`RequestId`] and writes one line to `tracing` when its answer has ended.
///
/// # Behavior
/// The id comes from the configured header when it is there once and holds 1 to 128 visible ASCII characters; otherwise
/// it is 32 random hexadecimal digits. It is put into the request's extensions and into the span `request`, in which the
/// handler runs and the answer's body is made.
///
/// The line has the target `backup_http::access` and the fields `method`, `path` (escaped, at most 256 characters, no
/// query), `status`, `bytes` of the answer's body, `duration_ms` until its end, `request_id`, `remote` (from
/// [`Peer`](crate::Peer)) and `end`: `whole`, `failed` when the body was cut, `dropped` when the client went away. Level: `error` for
/// 5xx and failed bodies, `warn` for 4xx, else `info`.
#[derive(Debug, Clone)]
pub struct AccessLog {
    header: Option<HeaderName>,
    random: Arc<dyn Random>,
}

impl Default for AccessLog {
    fn default() -> Self {
        Self { header: None, random: Arc::new(SystemRandom) }
    }
}

impl AccessLog {
    /// Every request gets an id of our own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the id from this header of the request where it is sane.
    #[must_use]
    pub fn id_header(mut self, name: HeaderName) -> Self {
        self.header = Some(name);
        self
    }

    /// Random numbers for the ids; the operating system's otherwise.
    #[must_use]
    pub fn random(mut self, random: Arc<dyn Random>) -> Self {
        self.random = random;
        self
    }
}

impl<S> Layer<S> for AccessLog {
    type Service = Logged<S>;

    fn layer(&self, inner: S) -> Logged<S> {
        Logged { inner, settings: self.clone() }
    }
}

/// The service that [`AccessLog`] makes.
#[derive(Debug, Clone)]
pub struct Logged<S> {
    inner: S,
    settings: AccessLog,
}

impl<S> Service<Request<Body>> for Logged<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = LoggedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let id = RequestId::of(self.settings.header.as_ref(), request.headers(), &*self.settings.random);
        let line = Line::of(&request, id.clone());
        let span = tracing::info_span!("request", id = %id);
        request.extensions_mut().insert(id);
        let inner = span.in_scope(|| self.inner.call(request)).instrument(span);
        LoggedFuture { inner, line: Some(line) }
    }
}

pin_project! {
    /// The future of [`Logged`].
    #[derive(Debug)]
    pub struct LoggedFuture<F> {
        #[pin]
        inner: Instrumented<F>,
        // Written on drop, so that a request that its client gave up is logged, too.
        line: Option<Line>,
    }
}

impl<F, E> Future for LoggedFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let span = this.inner.span().clone();
        let answer = ready!(this.inner.poll(cx))?;
        let Some(mut line) = this.line.take() else { return Poll::Ready(Ok(answer)) };
        line.answered(answer.status());
        Poll::Ready(Ok(answer.map(|body| Body::new(LoggedBody::new(body, line, span)))))
    }
}
