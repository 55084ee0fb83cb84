//! Bytes that can be read again.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::{ObjectMeta, ObjectWriter, Store, WriteOptions};
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::key::ObjectKey;

/// An object's bytes that lie somewhere and can be read from there as often as needed: a file, mostly. See [`Store::put_from`].
pub trait Payload: Send + Sync + fmt::Debug + 'static {
    /// How many bytes there are.
    fn size(&self) -> u64;

    /// All of them from the start, in pieces of a mebibyte at most. The same bytes each time: a reader that notices that they changed
    /// ends with an error item, and what was read then is never stored.
    fn open(&self) -> BoxStream<'static, Result<Bytes>>;
}

/// Stores a payload by way of a writer, as [`Store::put_from`] does unless the store has a better way.
///
/// # Errors
/// As [`Store::put_from`].
///
/// # Cancel safety
/// As [`ObjectWriter::finish`].
pub async fn by_writer<S: Store + ?Sized>(
    store: &S,
    cx: &JobContext,
    key: &ObjectKey,
    payload: Arc<dyn Payload>,
    options: WriteOptions,
) -> Result<ObjectMeta> {
    let mut writer = store.writer(cx, key, options.size_hint(Some(payload.size()))).await?;
    match fill(cx, &mut *writer, &*payload).await {
        Ok(()) => writer.finish().await,
        Err(error) => {
            if let Err(error) = writer.abort().await {
                tracing::warn!(%key, %error, "an unfinished write was left behind");
            }
            Err(error)
        }
    }
}

async fn fill(cx: &JobContext, writer: &mut dyn ObjectWriter, payload: &dyn Payload) -> Result<()> {
    let (mut bytes, mut came) = (payload.open(), 0);
    while let Some(data) = cx.run(async { Ok(bytes.next().await) }).await? {
        let data = data?;
        came += data.len() as u64;
        cx.run(writer.write(data)).await?;
    }
    match came == payload.size() {
        true => Ok(()),
        false => Err(other_size(came, payload.size())),
    }
}

fn other_size(came: u64, size: u64) -> Error {
    Error::new(&codes::INPUT_INVALID, format!("{came} bytes came instead of {size}: what was to be stored changed meanwhile"))
}
