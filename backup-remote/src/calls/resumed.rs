//! Bodies that go on after a break.

use std::future::Future;
use std::ops::Range;

use backup_core::{Error, ErrorKind, JobContext, Result, Retry};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::{ByteStream, Calls};
use crate::codes;

impl Calls {
    /// The bytes `range` of an object, from `first`, the body that is open already, and after each break from what `open` opens.
    ///
    /// # Behavior
    /// A body that breaks off, stalls or ends before the range does is dropped, and `open` is asked for the rest of the range, after the same
    /// pauses, as often in a row and from the same budget as calls are repeated; a byte that comes begins the row anew. `open` makes its call
    /// through [`Calls::run`] and sees to it that the object is still the same one (by `If-Match` or a look at its tag); its error
    /// ends the stream. Both bodies are within the limits already, by [`Calls::limited`] or as `http::Body` is.
    ///
    /// The stream has exactly the bytes of the range: when they are there, a body that breaks instead of ending has done its work.
    ///
    /// # Errors
    /// Error items: the last break's, with where it was; `remote.answer` for a body with more bytes than the range; those of `open` and of
    /// the context; an error of a body that says that trying again does not help.
    pub fn resumed<F, Fut>(
        &self,
        cx: &JobContext,
        operation: &'static str,
        range: Range<u64>,
        first: ByteStream,
        open: F,
    ) -> ByteStream
    where
        F: FnMut(Range<u64>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<ByteStream>> + Send,
    {
        let (calls, cx) = (self.clone(), cx.clone());
        let reading = Reading { calls, cx, operation, start: range.start, left: range, body: Some(first), open, breaks: 0 };
        stream::try_unfold(reading, |mut reading| async move {
            let bytes = reading.next().await?;
            Ok(bytes.map(|bytes| (bytes, reading)))
        })
        .boxed()
    }
}

struct Reading<F> {
    calls: Calls,
    cx: JobContext,
    operation: &'static str,
    start: u64,
    left: Range<u64>,
    body: Option<ByteStream>,
    open: F,
    /// Breaks since the last byte.
    breaks: u32,
}

impl<F, Fut> Reading<F>
where
    F: FnMut(Range<u64>) -> Fut + Send,
    Fut: Future<Output = Result<ByteStream>> + Send,
{
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let body = match &mut self.body {
                Some(body) => body,
                None => {
                    let opened = (self.open)(self.left.clone()).await?;
                    self.body.insert(opened)
                }
            };
            let broken = match body.try_next().await {
                Ok(Some(bytes)) if bytes.is_empty() => continue,
                Ok(Some(bytes)) => return self.came(bytes).map(Some),
                Ok(None) | Err(_) if self.left.is_empty() => return Ok(None),
                Ok(None) => Error::new(&codes::ANSWER, "the body ended too early"),
                Err(error) if passes(&error) => error,
                Err(error) => return Err(self.placed(error)),
            };
            self.body = None;
            self.cx.check()?;
            self.breaks = self.breaks.saturating_add(1);
            let broken = self.placed(broken);
            self.calls.again(&self.cx, self.operation, self.breaks, None, broken).await?;
        }
    }

    fn came(&mut self, bytes: Bytes) -> Result<Bytes> {
        let count = bytes.len() as u64;
        if count > self.left.end.saturating_sub(self.left.start) {
            return Err(self.placed(Error::new(&codes::ANSWER, "the body has more bytes than were asked for")));
        }
        self.left.start += count;
        self.breaks = 0;
        Ok(bytes)
    }

    /// The error with where it happened.
    fn placed(&self, error: Error) -> Error {
        let (done, whole) = (self.left.start - self.start, self.left.end.saturating_sub(self.start));
        error.context(format!("{} {}, after {done} of {whole} bytes", self.calls.service(), self.operation))
    }
}

/// Whether another body may do better.
fn passes(error: &Error) -> bool {
    error.retry() == Retry::Later && matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout)
}
