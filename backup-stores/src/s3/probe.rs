//! What the server really does, found out with a test object in the reserved place.

use backup_core::error::codes as core_codes;
use backup_core::{Bytes, Error, JobContext, Result};
use http::{HeaderMap, HeaderValue, Method};

use super::bucket::Bucket;
use super::codes;
use super::config::LockMode;
use super::multipart::Upload;
use super::names::Note;
use super::wire::{Ask, checksum};

const BODY: &[u8] = b"A test object; whoever finds it may remove it.\n";

/// What a server does of what S3 describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// `If-None-Match: *` decides PutObject.
    pub(super) conditional: bool,
    /// `If-None-Match: *` decides CompleteMultipartUpload.
    pub(super) conditional_multipart: bool,
    /// A body that does not match its checksum is refused.
    pub(super) checksum: bool,
    /// Objects can be locked, and are where that is asked for.
    pub(super) lock: bool,
    /// Objects may be removed.
    pub(super) removes: bool,
}

impl Default for Found {
    /// What S3 itself does, for whoever only reads.
    fn default() -> Self {
        Self { conditional: true, conditional_multipart: true, checksum: true, lock: false, removes: true }
    }
}

impl Found {
    /// The least: what any server does.
    pub(super) fn unknown() -> Self {
        Self { conditional: false, conditional_multipart: false, checksum: false, lock: false, removes: true }
    }
}

/// Whether the bucket is there and may be read.
pub(super) async fn readable(bucket: &Bucket, cx: &JobContext) -> Result<()> {
    let prefix = bucket.names.reserved();
    let ask = Ask::new("ListObjectsV2", Method::GET, "").query("list-type", "2").query("max-keys", "1").query("prefix", prefix);
    bucket.wire.ask(cx, ask).await.map(drop)
}

/// Finds out what the server does. Leaves nothing behind, unless it is interrupted: then the next sweep removes it.
pub(super) async fn probe(bucket: &Bucket, cx: &JobContext) -> Result<Found> {
    readable(bucket, cx).await?;
    let lock = locks(bucket, cx).await?;
    let name = format!("{}{}", bucket.names.reserved(), Note::Probe.name(cx.environment().random.next_u64()));
    let found = test(bucket, cx, &name).await;
    let removed = bucket.remove_reserved(cx, &name).await;
    let (conditional, conditional_multipart, checksum) = found?;
    let removes = match removed {
        Ok(()) => true,
        Err(error) if error.code() == &core_codes::STORE_DENIED => false,
        Err(error) => return Err(error),
    };
    Ok(Found { conditional, conditional_multipart, checksum, lock, removes })
}

async fn locks(bucket: &Bucket, cx: &JobContext) -> Result<bool> {
    let Some(LockMode::Governance | LockMode::Compliance) = bucket.lock else { return Ok(false) };
    if bucket.lock_enabled(cx).await? {
        return Ok(true);
    }
    Err(Error::new(
        &codes::S3_NO_LOCK,
        "`object-lock` is configured, and the bucket has no object lock; it can only be switched on for a new bucket or by its owner",
    ))
}

async fn test(bucket: &Bucket, cx: &JobContext, name: &str) -> Result<(bool, bool, bool)> {
    let put = |if_none_match: bool, sum: HeaderValue| {
        let ask = Ask::new("PutObject", Method::PUT, name).body(vec![Bytes::from_static(BODY)], sum);
        let ask = if if_none_match { ask.header("if-none-match", HeaderValue::from_static("*")) } else { ask };
        bucket.wire.ask(cx, ask)
    };
    let good = || checksum(&[Bytes::from_static(BODY)]);
    let conditional = match put(true, good()).await {
        Ok(_) => refused(put(true, good()).await)?,
        // The first attempt may have come through unheard.
        Err(error) if error.code() == &core_codes::STORE_EXISTS => true,
        Err(error) if error.code() == &codes::S3_UNSUPPORTED => put(false, good()).await.map(|_| false)?,
        Err(error) => return Err(error),
    };
    let multipart = conditional && multipart(bucket, cx, name).await?;
    let checksum = refused(put(false, checksum(&[Bytes::from_static(b"other")])).await)?;
    Ok((conditional, multipart, checksum))
}

/// Whether the server refused: by a status that says that the request was wrong, not by being out of order.
fn refused<T>(answer: Result<T>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(false),
        Err(error) => match error.code() {
            code if code == &core_codes::STORE_EXISTS || code == &codes::S3_DIGEST || code == &codes::S3_REFUSED => Ok(true),
            code if code == &codes::S3_UNSUPPORTED => Ok(false),
            _ => Err(error),
        },
    }
}

async fn multipart(bucket: &Bucket, cx: &JobContext, name: &str) -> Result<bool> {
    let upload = Upload::create(&bucket.wire, cx, name.to_owned(), HeaderMap::new()).await?;
    let body = vec![Bytes::from_static(BODY)];
    let sum = checksum(&body);
    let completed = async {
        let part = upload.part(cx, 1, body, sum).await?;
        refused(upload.complete(cx, &[part], 0, true).await)
    };
    match completed.await {
        Ok(false) => Ok(false),
        other => {
            upload.abort(cx).await?;
            other
        }
    }
}
