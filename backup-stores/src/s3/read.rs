//! Reading objects.

use std::ops::Range;

use backup_core::error::codes as core_codes;
use backup_core::store::{ObjectRead, ReadOptions};
use backup_core::{Error, JobContext, ObjectKey, ObjectMeta, Result};
use futures::stream::{self, StreamExt};
use http::HeaderMap;
use opendal::BytesRange;
use opendal::raw::OpRead;

use super::bucket::{Bucket, missing, seen};
use super::transport::Through;

/// Reads an object or a range of it.
pub(super) async fn read(bucket: &Bucket, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
    let Some(range) = options.range else { return open(bucket, cx, key, BytesRange::default()).await };
    if range.is_empty() {
        return nothing(key, bucket.stat(cx, key).await?.meta, &range);
    }
    // Some servers read the length of a range as a signed number.
    let wanted = match i64::try_from(range.end) {
        Ok(_) => BytesRange::new(range.start, Some(range.end - range.start)),
        Err(_) if i64::try_from(range.start).is_err() => return nothing(key, bucket.stat(cx, key).await?.meta, &range),
        Err(_) => BytesRange::new(range.start, None),
    };
    match open(bucket, cx, key, wanted).await {
        // Behind the end, or right at it.
        Err(error) if error.code() == &core_codes::INPUT_INVALID => nothing(key, bucket.stat(cx, key).await?.meta, &range),
        result => result,
    }
}

async fn open(bucket: &Bucket, cx: &JobContext, key: &ObjectKey, range: BytesRange) -> Result<ObjectRead> {
    let name = bucket.names.object(key);
    let through = Through::new(&bucket.wire, cx, HeaderMap::new());
    let opened = async {
        let reader = bucket.service.read_dyn(&through.context, &name, OpRead::new())?;
        reader.open_dyn(range).await
    };
    let (answer, body) = opened.await.map_err(|error| missing(key, through.error(error)))?;
    let metadata =
        answer.into_metadata().ok_or_else(|| Error::new(&backup_remote::codes::ANSWER, "an answer without metadata"))?;
    let map = through.mapper();
    let body = stream::try_unfold((body, map), |(mut body, map)| async move {
        let piece = body.read_dyn().await.map_err(&map)?;
        Ok(if piece.is_empty() { None } else { Some((stream::iter(Iterator::map(piece, Ok)), (body, map))) })
    });
    let body = futures::TryStreamExt::try_flatten(body).boxed();
    Ok(ObjectRead { meta: seen(key, &metadata).meta, body })
}

/// The answer for a range that holds no byte of the object.
fn nothing(key: &ObjectKey, meta: ObjectMeta, range: &Range<u64>) -> Result<ObjectRead> {
    if range.start > range.end || range.start > meta.size {
        let text = format!("`{key}` has {} bytes; the range {}..{} does not fit", meta.size, range.start, range.end);
        return Err(Error::new(&core_codes::INPUT_INVALID, text));
    }
    Ok(ObjectRead { meta, body: stream::empty().boxed() })
}
