//! Bodies that are read after their call.

use backup_core::error::codes;
use backup_core::{Error, JobContext, Result};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::Calls;

/// Bytes as they come; an error is the last item.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

impl Calls {
    /// A body within the limits: it may not pause for longer than the stall limit, and its bytes count for the bandwidth.
    ///
    /// # Errors
    /// Error items: those of `body`, `job.stalled`, those of the context.
    pub fn limited(&self, cx: &JobContext, body: ByteStream) -> ByteStream {
        let state = (self.unstalled(cx, body), cx.clone(), self.clone());
        stream::try_unfold(state, |(mut body, cx, calls)| async move {
            let Some(bytes) = body.try_next().await? else { return Ok(None) };
            calls.paced(&cx, bytes.len() as u64).await?;
            Ok(Some((bytes, (body, cx, calls))))
        })
        .boxed()
    }

    /// A body that may not pause for longer than the stall limit while somebody waits for it.
    pub(crate) fn unstalled(&self, cx: &JobContext, body: ByteStream) -> ByteStream {
        stream::try_unfold((body, cx.clone(), self.limits().stall()), |(mut body, cx, stall)| async move {
            let next = async {
                tokio::select! {
                    biased;
                    next = body.try_next() => next,
                    () = cx.clock().sleep(stall) => {
                        Err(Error::new(&codes::JOB_STALLED, format!("the body paused for {} s", stall.as_secs())))
                    }
                }
            };
            let next = cx.run(next).await?;
            Ok(next.map(|bytes| (bytes, (body, cx, stall))))
        })
        .boxed()
    }
}
