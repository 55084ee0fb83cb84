//! Limits of a request: its body, the time for it, and how many are worked on at once.

mod body;
mod config;
#[cfg(test)]
mod tests;

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use futures::future::Either;
use http_body::Body as _;
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service};

pub use config::Limits;

use body::{AnswerBody, RequestBody};

/// A layer that holds requests to [`Limits`]: body size and time, and how many there are at once.
///
/// # Behavior
/// - A request counts until its answer's body has ended. Beyond `concurrent-requests` the answer is 503 with
///   `Retry-After: 1`, at once, without looking at the body; the paths that are always let in are not counted.
/// - A `Content-Length` above `body-bytes` is 413 at once. A longer body without one, or one that takes longer than
///   `body-read-timeout`, fails while it is read; axum's extractors make 413 and 400 of that.
///
/// The limits that concern a connection are kept by [`server`](crate::server).
#[derive(Debug, Clone)]
pub struct RequestLimits {
    places: Arc<Semaphore>,
    always: Arc<[String]>,
    body_bytes: u64,
    body_read_timeout: Duration,
}

impl RequestLimits {
    /// The limits of `config`; `/healthz` is always let in.
    pub fn new(config: &Limits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(config.concurrent_requests.min(Semaphore::MAX_PERMITS))),
            always: Arc::from(["/healthz".to_owned()]),
            body_bytes: config.body_bytes,
            body_read_timeout: config.body_read_timeout,
        }
    }

    /// Sets the paths that are let in however many requests there are, compared byte by byte.
    #[must_use]
    pub fn always(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        self.always = paths.into_iter().collect();
        self
    }
}

impl<S> Layer<S> for RequestLimits {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, limits: self.clone() }
    }
}

/// The service that [`RequestLimits`] makes.
#[derive(Debug, Clone)]
pub struct Limited<S> {
    inner: S,
    limits: RequestLimits,
}

fn refusal(status: StatusCode, text: &'static str) -> Response<Body> {
    (status, text).into_response()
}

impl<S> Service<Request<Body>> for Limited<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<Ready<Result<Response<Body>, S::Error>>, PlacedFuture<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let limits = &self.limits;
        let permit = Arc::clone(&limits.places).try_acquire_owned().ok();
        if permit.is_none() && !limits.always.iter().any(|path| path == request.uri().path()) {
            let mut answer = refusal(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once\n");
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return Either::Left(ready(Ok(answer)));
        }
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > limits.body_bytes) {
            return Either::Left(ready(Ok(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the request's body is too large\n"))));
        }
        let (bytes, timeout) = (limits.body_bytes, limits.body_read_timeout);
        let request = request.map(|body| match body.is_end_stream() {
            true => body,
            false => Body::new(RequestBody::new(body, bytes, timeout)),
        });
        Either::Right(PlacedFuture { inner: self.inner.call(request), permit })
    }
}

pin_project! {
    /// The future of [`Limited`].
    #[derive(Debug)]
    pub struct PlacedFuture<F> {
        #[pin]
        inner: F,
        permit: Option<OwnedSemaphorePermit>,
    }
}

impl<F, E> Future for PlacedFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = Result<Response<Body>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.inner.poll(cx))?;
        let Some(permit) = this.permit.take() else { return Poll::Ready(Ok(answer)) };
        Poll::Ready(Ok(match answer.body().is_end_stream() {
            true => answer,
            false => answer.map(|inner| Body::new(AnswerBody { inner, _permit: permit })),
        }))
    }
}
