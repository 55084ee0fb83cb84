//! Bodies on their way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use backup_core::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body that tells when something of it moves.
pub(super) struct RequestBody {
    inner: Body,
    moved: watch::Sender<Option<Broken>>,
}

/// How a request's body moves on.
pub(super) struct Moved(watch::Receiver<Option<Broken>>);

/// Why a request's body did not come whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// It is over the limit of the server.
    TooLong,
    /// It broke off, or came too slowly.
    Cut,
}

impl RequestBody {
    pub(super) fn new(inner: Body) -> (Self, Moved) {
        let (moved, seen) = watch::channel(None);
        (Self { inner, moved }, Moved(seen))
    }
}

fn why(error: &(dyn std::error::Error + 'static)) -> Broken {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return Broken::TooLong;
        }
        cause = error.source();
    }
    Broken::Cut
}

impl Moved {
    /// What the caller did wrong, if it was the caller.
    pub(super) fn broken(&self) -> Option<Broken> {
        *self.0.borrow()
    }

    /// Waits until nothing has moved for so long.
    pub(super) async fn stopped(&mut self, limit: Duration) {
        loop {
            match timeout(limit, self.0.changed()).await {
                Ok(Ok(())) => {}
                // The body is sent.
                Ok(Err(_)) => return sleep(limit).await,
                Err(_) => return,
            }
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let broken = match &frame {
            Some(Err(error)) => Some(why(error)),
            _ => None,
        };
        self.moved.send_replace(broken);
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body, which the service goes on with in time; its connection ends with it.
pub(super) struct AnswerBody {
    inner: Incoming,
    limit: Duration,
    deadline: Pin<Box<Sleep>>,
    /// Somebody has asked for the next piece, so that the time for it runs: not while the client takes its time.
    asked: bool,
    _connection: AbortOnDropHandle<()>,
}

impl AnswerBody {
    pub(super) fn new(inner: Incoming, limit: Duration, connection: AbortOnDropHandle<()>) -> Self {
        Self { inner, limit, deadline: Box::pin(sleep(limit)), asked: false, _connection: connection }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            self.asked = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if !self.asked {
            self.asked = true;
            let until = Instant::now() + self.limit;
            self.deadline.as_mut().reset(until);
        }
        self.deadline.as_mut().poll(cx).map(|()| Some(Err("the service did not go on with its answer in time".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
