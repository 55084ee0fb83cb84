//! An answer's body that knows what went out of it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use backup_core::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tracing::Span;

use super::log::{End, Line};

pub(super) struct LoggedBody {
    inner: Body,
    line: Line,
    span: Span,
}

impl LoggedBody {
    pub(super) fn new(inner: Body, mut line: Line, span: Span) -> Self {
        // hyper never polls a body that is empty from the start.
        if inner.is_end_stream() {
            line.end = End::Whole;
        }
        Self { inner, line, span }
    }
}

impl HttpBody for LoggedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { inner, line, span } = &mut *self;
        let _entered = span.enter();
        let next = ready!(Pin::new(&mut *inner).poll_frame(cx));
        match &next {
            Some(Ok(frame)) => line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => line.end = End::Failed,
            None => {}
        }
        // With a known length the end is never polled for.
        if line.end == End::Dropped && (next.is_none() || inner.is_end_stream()) {
            line.end = End::Whole;
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
