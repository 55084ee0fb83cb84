//! Reading.

use std::ops::Range;

use backup_core::error::codes as core_codes;
use backup_core::store::{ObjectRead, ReadOptions};
use backup_core::{Error, JobContext, ObjectKey, ObjectMeta, Result};
use backup_remote::ByteStream;
use backup_remote::http::Body;
use backup_remote::http::http::{HeaderValue, Response};
use futures::stream::{self, StreamExt};

use super::account::{Account, Head, Shared};
use super::error::refused;
use super::place::Place;

/// How much of an error's text is read.
const EXCERPT: u64 = 64 << 10;

pub(super) async fn read(account: Shared, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
    let place = account.places.object(key)?;
    // HTTP has no empty range.
    if let Some(range) = options.range.as_ref().filter(|range| range.is_empty()) {
        return nothing(&account, cx, key, range.start).await;
    }
    let answer = opened(&account, cx, &place, options.range.clone()).await?;
    let head = Head::of(answer.headers());
    let Some(size) = head.size else {
        return Err(Error::new(&backup_remote::codes::ANSWER, format!("Swift does not say how long `{key}` is")));
    };
    let range = options.range.map_or(0..size, |range| range.start..range.end.min(size));
    let meta = ObjectMeta::new(key.clone(), size).modified(head.modified).etag(head.etag).sha256(head.sha256);
    let body = resumed(account, cx, place, &meta, range, answer.into_body().stream());
    Ok(ObjectRead { meta, body })
}

async fn opened(account: &Account, cx: &JobContext, place: &Place, range: Option<Range<u64>>) -> Result<Response<Body>> {
    let range = range.map(|Range { start, end }| HeaderValue::from_str(&format!("bytes={start}-{}", end - 1)));
    let internal = |error| Error::new(&core_codes::INTERNAL, "a range cannot be sent").with_source(error);
    let answer = account.open(cx, place, range.transpose().map_err(internal)?).await?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body = answer.into_body().whole(EXCERPT).await.unwrap_or_default();
    Err(refused("reading", &place.name, status, &body))
}

/// The body, which goes on after a break as long as the object is still the same.
fn resumed(
    account: Shared,
    cx: &JobContext,
    place: Place,
    meta: &ObjectMeta,
    range: Range<u64>,
    first: ByteStream,
) -> ByteStream {
    let calls = account.service.http().calls().clone();
    let (its_cx, etag) = (cx.clone(), meta.etag.clone());
    calls.resumed(cx, "GetObject", range, first, move |rest| {
        let (account, cx, place, etag) = (Shared::clone(&account), its_cx.clone(), place.clone(), etag.clone());
        async move {
            let answer = opened(&account, &cx, &place, Some(rest)).await?;
            if Head::of(answer.headers()).etag != etag {
                let text = format!("`{}` was replaced while it was read", place.name);
                return Err(Error::new(&core_codes::STORE_IO, text).with_retry(backup_core::Retry::Never));
            }
            Ok(answer.into_body().stream())
        }
    })
}

async fn nothing(account: &Shared, cx: &JobContext, key: &ObjectKey, start: u64) -> Result<ObjectRead> {
    let meta = head(account, cx, key).await?;
    if start > meta.size {
        let text = format!("`{key}` has {} bytes; a read cannot start at {start}", meta.size);
        return Err(Error::new(&core_codes::INPUT_INVALID, text));
    }
    Ok(ObjectRead { meta, body: stream::empty().boxed() })
}

pub(super) async fn head(account: &Shared, cx: &JobContext, key: &ObjectKey) -> Result<ObjectMeta> {
    let found = account.head(cx, &account.places.object(key)?).await?;
    let Some(head) = found else {
        return Err(Error::new(&core_codes::STORE_NOT_FOUND, format!("`{key}` is not in the container")));
    };
    Ok(ObjectMeta::new(key.clone(), head.size.unwrap_or_default()).modified(head.modified).etag(head.etag).sha256(head.sha256))
}
