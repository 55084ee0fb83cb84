//! The body of an answer.

use std::fmt;

use backup_core::{Error, JobContext, Result};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use http_body::Body as _;

use super::described;
use crate::{Calls, codes};

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

    /// Its length, where the answer's head tells.
    pub fn length(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }

    /// Its bytes as they come, within the bandwidth limit. A body that breaks off, or pauses for longer than the stall limit, is an
    /// error item, never a short stream.
    pub fn stream(self) -> BoxStream<'static, Result<Bytes>> {
        let incoming = http_body_frames(self.incoming);
        let (cx, calls) = (self.cx, self.calls);
        stream::try_unfold((incoming, cx, calls), |(mut incoming, cx, calls)| async move {
            let stall = calls.limits().stall();
            let next = async {
                tokio::select! {
                    biased;
                    next = incoming.try_next() => next,
                    () = cx.clock().sleep(stall) => Err(Error::new(
                        &backup_core::error::codes::JOB_STALLED,
                        format!("the body paused for {} s", stall.as_secs()),
                    )),
                }
            };
            let Some(bytes) = cx.run(next).await? else { return Ok(None) };
            calls.paced(&cx, bytes.len() as u64).await?;
            Ok(Some((bytes, (incoming, cx, calls))))
        })
        .boxed()
    }

    /// The whole of it.
    ///
    /// # Errors
    /// `remote.answer` when it breaks off or has more than `limit` bytes; `job.stalled`; those of the context.
    pub async fn whole(self, limit: u64) -> Result<Bytes> {
        let mut stream = self.stream();
        let mut whole = BytesMut::new();
        while let Some(bytes) = stream.try_next().await? {
            if (whole.len() + bytes.len()) as u64 > limit {
                return Err(Error::new(&codes::ANSWER, format!("the answer has more than {limit} bytes")));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }

    /// The first bytes as text for a message, after a colon; nothing when there are none.
    pub(super) async fn excerpt(self, limit: usize) -> String {
        let mut stream = self.stream();
        let mut start = BytesMut::new();
        while let Ok(Some(bytes)) = stream.try_next().await {
            start.extend_from_slice(&bytes);
            if start.len() >= limit {
                start.truncate(limit);
                break;
            }
        }
        let text = String::from_utf8_lossy(&start);
        let text: Vec<&str> = text.split_whitespace().collect();
        if text.is_empty() { String::new() } else { format!(": {}", text.join(" ")) }
    }
}

fn http_body_frames(incoming: reqwest::Body) -> BoxStream<'static, Result<Bytes>> {
    let broke =
        |error: reqwest::Error| Error::new(&codes::ANSWER, format!("the body broke off: {}", described(&error.without_url())));
    stream::try_unfold(incoming, move |mut incoming| async move {
        loop {
            let frame = futures::future::poll_fn(|context| std::pin::Pin::new(&mut incoming).poll_frame(context)).await;
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
