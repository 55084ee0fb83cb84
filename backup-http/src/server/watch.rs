//! What a connection is doing, so that one that does nothing can be cut.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use backup_core::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::limits::Limits;

/// Since when something waits, in milliseconds of the connection's life; `NOT` when it does not.
type Since = AtomicU64;
const NOT: u64 = u64::MAX;

/// One connection. All times are milliseconds since it was accepted.
#[derive(Debug)]
pub(super) struct Watch {
    opened: Instant,
    limits: Limits,
    requests: AtomicUsize,
    asked: AtomicBool,
    /// The last end of a request, or of a wait for the socket.
    active: AtomicU64,
    /// Since when the socket takes nothing.
    blocked: Since,
    /// Answers under way: since when each has not been asked for more.
    answers: Mutex<Vec<Weak<Since>>>,
}

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// It has been without a request for too long.
    Idle,
    /// The client has taken nothing of an answer for too long.
    Stalled,
}

impl Watch {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            limits,
            requests: AtomicUsize::new(0),
            asked: AtomicBool::new(false),
            active: AtomicU64::new(0),
            blocked: AtomicU64::new(NOT),
            answers: Mutex::new(Vec::new()),
        })
    }

    /// How often a verdict is worth asking for.
    pub(super) fn period(&self) -> Duration {
        let shortest = self.limits.write_stall.min(self.limits.idle_timeout).min(self.limits.header_read_timeout);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(5))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(NOT - 1)
    }

    /// The socket took bytes, or did not.
    pub(super) fn wrote(&self, progress: bool) {
        if progress {
            // Only a backlog that drains is activity: a ping that is answered must not keep an idle connection open.
            if self.blocked.swap(NOT, Relaxed) != NOT {
                self.active.store(self.now(), Relaxed);
            }
        } else {
            // Only the first refusal counts.
            let _ = self.blocked.compare_exchange(NOT, self.now(), Relaxed, Relaxed);
        }
    }

    /// A request begins; it ends when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Request {
        self.requests.fetch_add(1, Relaxed);
        self.asked.store(true, Relaxed);
        Request(Arc::clone(self))
    }

    pub(super) fn verdict(&self) -> Verdict {
        let now = self.now();
        let over = |since: u64, limit: Duration| since != NOT && u128::from(now.saturating_sub(since)) >= limit.as_millis();
        let stall = self.limits.write_stall;
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|answer| answer.strong_count() > 0);
        if over(self.blocked.load(Relaxed), stall)
            || answers.iter().filter_map(Weak::upgrade).any(|since| over(since.load(Relaxed), stall))
        {
            return Verdict::Stalled;
        }
        // Whoever never asked anything gets the time for a request's head, no more.
        let limit = if self.asked.load(Relaxed) { self.limits.idle_timeout } else { self.limits.header_read_timeout };
        match self.requests.load(Relaxed) == 0 && over(self.active.load(Relaxed), limit) {
            true => Verdict::Idle,
            false => Verdict::Keep,
        }
    }
}

/// A request that is worked on.
#[derive(Debug)]
pub(super) struct Request(Arc<Watch>);

impl Request {
    /// Ties the request to the body of its answer.
    pub(super) fn answered(self, inner: Body) -> WatchedBody {
        let since = Arc::new(AtomicU64::new(self.0.now()));
        let mut answers = self.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
        // Many short answers may pass between two verdicts.
        if answers.len() >= 64 {
            answers.retain(|answer| answer.strong_count() > 0);
        }
        answers.push(Arc::downgrade(&since));
        drop(answers);
        WatchedBody { inner, since, request: self }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.active.store(self.0.now(), Relaxed);
        self.0.requests.fetch_sub(1, Relaxed);
    }
}

/// An answer's body that tells when nobody asks for more of it.
#[derive(Debug)]
pub(super) struct WatchedBody {
    inner: Body,
    since: Arc<Since>,
    request: Request,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { inner, since, request } = &mut *self;
        let next = Pin::new(inner).poll_frame(cx);
        // While the body itself has nothing, it is not the client that is waited for.
        since.store(if next.is_pending() { NOT } else { request.0.now() }, Relaxed);
        next
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
