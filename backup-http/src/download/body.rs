//! The body of a download: pieces of a checked stream, the last of them only after the stream ended well.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backup_core::source::ArtifactStream;
use backup_core::{Bytes, Error, Result};
use futures::StreamExt;
use http_body::{Body, Frame, SizeHint};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::codes;

/// Bytes of a frame at most. Small enough that a slow client is seen to take one within the stall limit.
const FRAME: usize = 64 * 1024;

/// A body of exactly the promised length, or one that is cut.
#[derive(Debug)]
pub(super) struct DownloadBody {
    shared: Arc<Mutex<Pieces>>,
    watchdog: AbortHandle,
}

impl DownloadBody {
    /// Waits for the first piece, and watches from then on that somebody takes the pieces.
    pub(super) async fn start(mut stream: ArtifactStream, length: u64, stall: Duration) -> Result<Self> {
        let mut pieces = Pieces { stream: None, current: Bytes::new(), remaining: length, idle_since: Some(Instant::now()) };
        loop {
            match stream.next().await.transpose()? {
                Some(piece) if piece.is_empty() => {}
                Some(piece) => {
                    pieces.accept(piece)?;
                    pieces.stream = Some(stream);
                    break;
                }
                None if length == 0 => break,
                None => return Err(pieces.short()),
            }
        }
        let shared = Arc::new(Mutex::new(pieces));
        let watchdog = tokio::spawn(watch(Arc::downgrade(&shared), stall)).abort_handle();
        Ok(Self { shared, watchdog })
    }
}

impl Drop for DownloadBody {
    fn drop(&mut self) {
        self.watchdog.abort();
    }
}

impl Body for DownloadBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let mut pieces = lock(&self.shared);
        pieces.idle_since = None;
        let next = ready!(pieces.poll_next(cx));
        pieces.idle_since = Some(Instant::now());
        if let Some(Err(error)) = &next {
            tracing::error!(%error, missing = pieces.remaining, "a download was cut");
            (pieces.stream, pieces.current, pieces.remaining) = (None, Bytes::new(), 0);
        }
        Poll::Ready(next.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.shared).ended()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(lock(&self.shared).remaining)
    }
}

struct Pieces {
    /// `None` once it ended, failed or was taken away by the watchdog.
    stream: Option<ArtifactStream>,
    current: Bytes,
    remaining: u64,
    /// Since when nobody has asked for the next frame; `None` while the stream is what is waited for.
    idle_since: Option<Instant>,
}

impl Pieces {
    fn ended(&self) -> bool {
        self.stream.is_none() && self.remaining == 0
    }

    /// Takes up a piece, unless it is more than was promised.
    fn accept(&mut self, piece: Bytes) -> Result<()> {
        let expected = self.remaining - self.current.len() as u64;
        if piece.len() as u64 > expected {
            return Err(Error::new(&codes::STREAM_LENGTH, "the artifact gave more bytes than its manifest says"));
        }
        if self.current.is_empty() {
            self.current = piece;
        }
        Ok(())
    }

    fn short(&self) -> Error {
        Error::new(&codes::STREAM_LENGTH, format!("the artifact ended {} bytes too early", self.remaining))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            let is_last = self.current.len() as u64 == self.remaining && self.current.len() <= FRAME;
            if !self.current.is_empty() && (!is_last || self.stream.is_none()) {
                let frame = self.current.split_to(self.current.len().min(FRAME));
                self.remaining -= frame.len() as u64;
                return Poll::Ready(Some(Ok(frame)));
            }
            // Either nothing is at hand, or only the frame that would complete the body: the stream's end decides on it.
            let Some(stream) = &mut self.stream else {
                return Poll::Ready((self.remaining > 0).then(|| Err(stalled())));
            };
            match ready!(stream.poll_next_unpin(cx)) {
                Some(Ok(piece)) => {
                    if let Err(error) = self.accept(piece) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if is_last => self.stream = None,
                None => return Poll::Ready(Some(Err(self.short()))),
            }
        }
    }
}

fn stalled() -> Error {
    Error::new(&codes::CLIENT_STALLED, "the client took nothing for longer than the stall limit")
}

/// Takes the stream, and with it the memory that it holds, away from a body that nobody reads. A connection that does not
/// move never polls its body, so the body itself cannot find out.
async fn watch(body: Weak<Mutex<Pieces>>, stall: Duration) {
    let mut look = Instant::now() + stall;
    loop {
        sleep_until(look).await;
        let Some(body) = body.upgrade() else { return };
        let mut pieces = lock(&body);
        match pieces.idle_since {
            Some(since) if since + stall <= Instant::now() => {
                (pieces.stream, pieces.current) = (None, Bytes::new());
                return;
            }
            Some(since) => look = since + stall,
            None => look = Instant::now() + stall,
        }
    }
}

fn lock(pieces: &Mutex<Pieces>) -> MutexGuard<'_, Pieces> {
    // Nothing in there can be left half-changed by a panic that matters: a body that panicked is never read on.
    pieces.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces").field("current", &self.current.len()).field("remaining", &self.remaining).finish_non_exhaustive()
    }
}
