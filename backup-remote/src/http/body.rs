//! The body of an answer.

use std::fmt;
use std::pin::Pin;

use backup_core::{Error, JobContext, Result, Retry};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use http_body::Body as _;

use super::failure::described;
use crate::{ByteStream, Calls, codes};

/// The body of an answer, still to be read. Dropping it closes its connection.
pub struct Body {
    incoming: reqwest::Body,
    cx: JobContext,
    calls: Calls,
}

impl Body {
    pub(super) fn new(incoming: reqwest::Body, cx: JobContext, calls: Calls) -> Self {
        Self { incoming, cx, calls }
    }

    /// Its length, where the answer's head tells; 0 for an answer to `HEAD`, whatever its `Content-Length` is about.
    pub fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// Its bytes as they come, within the bandwidth limit. A body that breaks off, or pauses for longer than the stall limit, is an
    /// error item, never a short stream.
    pub fn stream(self) -> ByteStream {
        self.calls.limited(&self.cx, frames(self.incoming))
    }

    /// The whole of it.
    ///
    /// # Errors
    /// `remote.answer` when it breaks off or has more than `limit` bytes; `job.stalled`; those of the context.
    pub async fn whole(self, limit: u64) -> Result<Bytes> {
        let (calls, cx) = (self.calls.clone(), self.cx.clone());
        let whole = self.unpaced(limit).await?;
        // Who is cancelled in this wait has the bytes all the same.
        let _ = calls.paced(&cx, whole.len() as u64).await;
        Ok(whole)
    }

    /// The whole of it, without a wait for bandwidth.
    pub(super) async fn unpaced(self, limit: u64) -> Result<Bytes> {
        let mut stream = self.calls.unstalled(&self.cx, frames(self.incoming));
        let mut whole = BytesMut::new();
        while let Some(bytes) = stream.try_next().await? {
            if (whole.len() + bytes.len()) as u64 > limit {
                let longer = Error::new(&codes::ANSWER, format!("the answer has more than {limit} bytes"));
                return Err(longer.with_retry(Retry::Never));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }

    /// The first bytes as text for a message, after a colon; nothing when there are none.
    pub(super) async fn excerpt(self, limit: usize) -> String {
        let mut stream = self.calls.unstalled(&self.cx, frames(self.incoming));
        let mut start = BytesMut::new();
        while let Ok(Some(bytes)) = stream.try_next().await {
            start.extend_from_slice(&bytes);
            if start.len() >= limit {
                start.truncate(limit);
                break;
            }
        }
        let text: String =
            String::from_utf8_lossy(&start).chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.is_empty() { String::new() } else { format!(": {}", words.join(" ")) }
    }
}

fn frames(incoming: reqwest::Body) -> ByteStream {
    let broke =
        |error: reqwest::Error| Error::new(&codes::ANSWER, format!("the body broke off: {}", described(&error.without_url())));
    stream::try_unfold(incoming, move |mut incoming| async move {
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut incoming).poll_frame(context)).await;
            match frame.transpose().map_err(broke)? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some((data, incoming)));
                    }
                }
            }
        }
    })
    .boxed()
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length()).finish_non_exhaustive()
    }
}
