//! An object in one request.

use backup_core::{Bytes, JobContext, ObjectKey, ObjectMeta, Result};
use opendal::Buffer;
use opendal::options::WriteOptions;
use opendal::raw::OpWrite;

use super::bucket::{Bucket, Stamp, exists, meta, missing};
use super::settle::{read_back, settle};
use super::transport::Through;

/// Stores `pieces` as one object.
///
/// # Errors
/// `store.exists` (effect none) with `if_absent` when the key is taken.
pub(super) async fn put(
    bucket: &Bucket,
    cx: &JobContext,
    key: &ObjectKey,
    pieces: Vec<Bytes>,
    stamp: &Stamp,
    if_absent: bool,
) -> Result<ObjectMeta> {
    cx.check()?;
    let conditional = if_absent && bucket.found.conditional;
    if if_absent && !conditional && bucket.stat_opt(cx, key).await?.is_some() {
        return Err(exists(key));
    }
    let size = pieces.iter().map(|piece| piece.len() as u64).sum();
    let written = match send(bucket, cx, key, pieces, stamp, conditional).await {
        Ok(meta) if conditional || !if_absent => Ok(meta),
        Ok(_) => read_back(bucket, cx, key, stamp, size).await,
        Err(error) => settle(bucket, cx, key, stamp, size, if_absent, error).await,
    }?;
    bucket.ensure_locked(cx, key, stamp).await?;
    Ok(written)
}

async fn send(
    bucket: &Bucket,
    cx: &JobContext,
    key: &ObjectKey,
    pieces: Vec<Bytes>,
    stamp: &Stamp,
    conditional: bool,
) -> Result<ObjectMeta> {
    let name = bucket.names.object(key);
    let size = pieces.iter().map(|piece| piece.len() as u64).sum();
    let through = Through::new(&bucket.wire, cx, bucket.headers(stamp));
    let sent = async {
        let options = WriteOptions { if_not_exists: conditional, ..WriteOptions::default() };
        let (write, _) = OpWrite::from_options(&bucket.service.capability_dyn(), options)?;
        let mut writer = bucket.service.write_dyn(&through.context, &name, write)?;
        if size > 0 {
            writer.write_dyn(Buffer::from(pieces)).await?;
        }
        writer.close_dyn().await
    };
    let metadata = sent.await.map_err(|error| missing(key, through.error(error)))?;
    let etag = meta(key.clone(), &metadata).etag;
    Ok(ObjectMeta::new(key.clone(), size).etag(etag))
}
