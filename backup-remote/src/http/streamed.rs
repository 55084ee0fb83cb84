//! A request's body that is read while it is sent, anew for each attempt.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use backup_core::{Error, JobContext};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http_body::{Frame, SizeHint};

use crate::{ByteStream, Calls, codes};

/// Handed to the connection at once: small enough that progress is seen on a slow line.
const FRAME: usize = 64 << 10;

/// The body of a request that is too big for memory: bytes that can be read again. Put into the extensions of a request, it is sent instead of
/// the request's pieces.
///
/// # Behavior
/// Each attempt opens it anew. Its length is told in advance, and its last bytes leave only when the stream has ended well: a stream that ends
/// with an error, or has another length, is an incomplete request, which no server takes, and the error is that of the call. Its bytes pass the
/// bandwidth limit one by one. An attempt whose bytes do not move for the time that a mebibyte may take is over, however long the whole of it
/// may take.
#[derive(Clone)]
pub struct Streamed {
    size: u64,
    open: Arc<dyn Fn() -> ByteStream + Send + Sync>,
}

impl Streamed {
    /// A body of `size` bytes, which `open` gives from the start.
    pub fn new(size: u64, open: impl Fn() -> ByteStream + Send + Sync + 'static) -> Self {
        Self { size, open: Arc::new(open) }
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The body of one attempt, and how it gets on.
    pub(super) fn begin(&self, cx: &JobContext, calls: &Calls) -> (Flowing, Arc<Flow>) {
        let (cx, calls) = (cx.clone(), calls.clone());
        let paced = (self.open)().and_then(move |bytes| {
            let (cx, calls) = (cx.clone(), calls.clone());
            async move {
                calls.paced(&cx, bytes.len() as u64).await?;
                Ok(bytes)
            }
        });
        let flow = Arc::<Flow>::default();
        let flowing = Flowing {
            stream: Mutex::new(paced.boxed()),
            size: self.size,
            came: 0,
            held: Bytes::new(),
            leaving: Bytes::new(),
            left: self.size,
            flow: Arc::clone(&flow),
        };
        (flowing, flow)
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").field("size", &self.size).finish_non_exhaustive()
    }
}

/// How the body of an attempt gets on.
#[derive(Debug, Default)]
pub(super) struct Flow {
    moved: AtomicU64,
    /// It waits for its own source, which is not the service's fault.
    waiting: AtomicBool,
    broken: Mutex<Option<Error>>,
}

impl Flow {
    /// Returns when nothing moved for `limit`, the source being ready.
    pub(super) async fn stalled(&self, cx: &JobContext, limit: Duration) {
        loop {
            let before = self.moved.load(Ordering::Relaxed);
            cx.clock().sleep(limit).await;
            if self.moved.load(Ordering::Relaxed) == before && !self.waiting.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// What was wrong with the source.
    pub(super) fn broken(&self) -> Option<Error> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fail(&self, error: Error) -> std::io::Error {
        *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        std::io::Error::other("the bytes to send cannot be read")
    }
}

pub(super) struct Flowing {
    /// Never locked, only owned: a body has to be `Sync`.
    stream: Mutex<ByteStream>,
    size: u64,
    came: u64,
    /// The newest bytes, which leave when others come or the stream ends well.
    held: Bytes,
    leaving: Bytes,
    left: u64,
    flow: Arc<Flow>,
}

impl Flowing {
    /// Fetches what may leave next; nothing at the end.
    fn poll_leaving(&mut self, context: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        while self.leaving.is_empty() && self.left > 0 {
            let stream = self.stream.get_mut().unwrap_or_else(PoisonError::into_inner);
            self.flow.waiting.store(true, Ordering::Relaxed);
            let next = ready!(stream.poll_next_unpin(context));
            self.flow.waiting.store(false, Ordering::Relaxed);
            match next.transpose() {
                Err(error) => return Poll::Ready(Err(self.flow.fail(error))),
                Ok(Some(bytes)) => {
                    self.came += bytes.len() as u64;
                    if self.came > self.size {
                        return Poll::Ready(Err(self.other_size()));
                    }
                    if !bytes.is_empty() {
                        self.leaving = std::mem::replace(&mut self.held, bytes);
                    }
                }
                Ok(None) if self.came == self.size => self.leaving = std::mem::take(&mut self.held),
                Ok(None) => return Poll::Ready(Err(self.other_size())),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn other_size(&self) -> std::io::Error {
        let text = format!("{} bytes came to be sent where {} were announced", self.came, self.size);
        self.flow.fail(Error::new(&codes::CONFIG, text))
    }
}

impl http_body::Body for Flowing {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Err(error) = ready!(self.poll_leaving(context)) {
            return Poll::Ready(Some(Err(error)));
        }
        if self.leaving.is_empty() {
            return Poll::Ready(None);
        }
        let count = self.leaving.len().min(FRAME);
        let frame = self.leaving.split_to(count);
        self.left -= count as u64;
        self.flow.moved.fetch_add(count as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
