//! Bodies under a limit.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use backup_core::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Limited;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body that has to be there within a time, and within a size (axum's extractors answer 413 to that error).
pub(super) struct RequestBody {
    inner: Limited<Body>,
    timeout: Duration,
    /// Set when the body is first asked for: what a handler does before is not the client's time.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    pub(super) fn new(inner: Body, bytes: u64, timeout: Duration) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self { inner: Limited::new(inner, bytes), timeout, deadline: None }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { inner, timeout, deadline } = &mut *self;
        if let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let deadline = deadline.get_or_insert_with(|| Box::pin(sleep(*timeout)));
        deadline.as_mut().poll(cx).map(|()| Some(Err("the request's body did not arrive in time".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body that holds its request's place until it has ended.
pub(super) struct AnswerBody {
    pub(super) inner: Body,
    pub(super) _permit: OwnedSemaphorePermit,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
