//! What became of a write whose answer is missing or may be about an attempt of our own.

use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::{Effect, Error, JobContext, ObjectKey, ObjectMeta, Result};

use super::bucket::{Bucket, Stamp, exists};
use super::codes;

/// How long looking again may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Looks again after `error`: an object with our token is ours, whatever the answer was. `412` may be about our own first attempt.
pub(super) async fn settle(
    bucket: &Bucket,
    cx: &JobContext,
    key: &ObjectKey,
    stamp: &Stamp,
    size: u64,
    if_absent: bool,
    error: Error,
) -> Result<ObjectMeta> {
    let taken = error.code() == &core_codes::STORE_EXISTS;
    let doubtful =
        taken || error.effect() == Effect::Unknown || [&codes::S3_CONFLICT, &codes::S3_UPLOAD_GONE].contains(&error.code());
    if !doubtful || cx.check().is_err() {
        return Err(error);
    }
    let context = format!("`{key}`, looked at again");
    match bucket.stat_opt(&cx.with_limit(LIMIT), key).await {
        Ok(Some(seen)) if seen.token.as_deref() == Some(stamp.token.as_str()) => whole(seen.meta, size),
        Ok(Some(_)) if if_absent => Err(exists(key)),
        Ok(Some(_)) => Err(error),
        // Removed between the two looks.
        Ok(None) if taken => {
            Err(Error::new(&codes::S3_CONFLICT, format!("the object `{key}` came and went while it was written")))
        }
        // Not there, or not there yet: a server that is still at it may store it, and the error says that this is unknown.
        Ok(None) => Err(error),
        Err(second) => {
            tracing::debug!(error = %second, "what became of a write stays unknown");
            Err(error.context(context).with_effect(Effect::Unknown))
        }
    }
}

/// What is there after a write that could not be conditional: ours, or that of somebody who came later.
pub(super) async fn read_back(bucket: &Bucket, cx: &JobContext, key: &ObjectKey, stamp: &Stamp, size: u64) -> Result<ObjectMeta> {
    match bucket.stat_opt(cx, key).await {
        Ok(Some(seen)) if seen.token.as_deref() == Some(stamp.token.as_str()) => whole(seen.meta, size),
        Ok(Some(_)) => Err(exists(key)),
        Ok(None) => Err(Error::new(&codes::S3_CONFLICT, format!("the object `{key}` went as soon as it was written"))
            .with_effect(Effect::Unknown)),
        Err(error) => Err(error.with_effect(Effect::Unknown)),
    }
}

/// Our object, if it has the size that was written.
pub(super) fn whole(meta: ObjectMeta, size: u64) -> Result<ObjectMeta> {
    if meta.size == size {
        return Ok(meta);
    }
    let text = format!("`{}` has {} bytes after writing {size}; the server lost some", meta.key, meta.size);
    Err(Error::new(&core_codes::STORE_IO, text).with_effect(Effect::Applied))
}
