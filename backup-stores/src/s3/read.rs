//! Reading objects.

use std::ops::Range;
use std::sync::Arc;

use backup_core::error::codes as core_codes;
use backup_core::store::{ObjectRead, ReadOptions};
use backup_core::{Error, JobContext, ObjectKey, ObjectMeta, Result};
use backup_remote::ByteStream;
use futures::stream;
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, header};
use opendal::BytesRange;
use opendal::raw::OpRead;

use super::bucket::{Bucket, missing, seen};
use super::transport::Through;

/// Reads an object or a range of it.
pub(super) async fn read(bucket: &Arc<Bucket>, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
    let range = options.range.unwrap_or(0..u64::MAX);
    let end_given = i64::try_from(range.end).is_ok();
    if range.is_empty() || i64::try_from(range.start).is_err() {
        return nothing(key, bucket.stat(cx, key).await?.meta, &range);
    }
    let wanted = match (range.start, end_given) {
        (0, false) => BytesRange::default(),
        // Some servers read the numbers of a range as signed ones.
        (start, false) => BytesRange::new(start, None),
        (start, true) => BytesRange::new(start, Some(range.end - start)),
    };
    let (meta, first) = match open(bucket, cx, key, wanted, None).await {
        Ok(opened) => opened,
        // Behind the end, or right at it.
        Err(error) if error.code() == &core_codes::INPUT_INVALID => {
            return nothing(key, bucket.stat(cx, key).await?.meta, &range);
        }
        Err(error) => return Err(error),
    };
    let range = range.start..range.end.min(meta.size);
    let (again, its_cx, key, etag) = (Arc::clone(bucket), cx.clone(), key.clone(), meta.etag.clone());
    let reopen = move |left: Range<u64>| {
        let (bucket, cx, key, etag) = (Arc::clone(&again), its_cx.clone(), key.clone(), etag.clone());
        async move {
            let rest = BytesRange::new(left.start, Some(left.end - left.start));
            let opened = open(&bucket, &cx, &key, rest, etag.as_deref()).await;
            opened.map(|(_, body)| body).map_err(|error| match error.code() {
                code if code == &core_codes::STORE_EXISTS => {
                    Error::new(&core_codes::STORE_IO, format!("`{key}` was replaced while it was read"))
                }
                code if code == &core_codes::INPUT_INVALID => {
                    let text = format!("`{key}` has fewer bytes than the server first said");
                    Error::new(&backup_remote::codes::ANSWER, text)
                }
                _ => error,
            })
        }
    };
    let body = bucket.wire.calls().resumed(cx, "GetObject", range, first, reopen);
    Ok(ObjectRead { meta, body })
}

/// Opens a range; with `etag` only of that very object.
async fn open(
    bucket: &Bucket,
    cx: &JobContext,
    key: &ObjectKey,
    range: BytesRange,
    etag: Option<&str>,
) -> Result<(ObjectMeta, ByteStream)> {
    let name = bucket.names.object(key);
    let mut headers = HeaderMap::new();
    if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
        headers.insert(header::IF_MATCH, etag);
    }
    let through = Through::new(&bucket.wire, cx, headers);
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
    Ok((seen(key, &metadata).meta, body.try_flatten().boxed()))
}

/// The answer for a range that holds no byte of the object.
fn nothing(key: &ObjectKey, meta: ObjectMeta, range: &Range<u64>) -> Result<ObjectRead> {
    if range.start > range.end || range.start > meta.size {
        let text = format!("`{key}` has {} bytes; the range {}..{} does not fit", meta.size, range.start, range.end);
        return Err(Error::new(&core_codes::INPUT_INVALID, text));
    }
    Ok(ObjectRead { meta, body: stream::empty().boxed() })
}
