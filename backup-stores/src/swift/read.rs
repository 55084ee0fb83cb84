//! Reading.

use std::ops::Range;

use backup_core::error::codes as core_codes;
use backup_core::store::{ObjectRead, ReadOptions};
use backup_core::{Error, JobContext, ObjectKey, ObjectMeta, Result};
use backup_remote::http::http::{HeaderValue, StatusCode};
use futures::stream::{self, StreamExt, TryStreamExt};

use super::account::{Head, Shared};
use super::error::refused;

/// How much of an error's text is read.
const EXCERPT: u64 = 64 << 10;

pub(super) async fn read(account: Shared, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
    let place = account.places.object(key)?;
    let range = match options.range {
        None => None,
        // HTTP has no empty range.
        Some(range) if range.is_empty() => return nothing(&account, cx, key, range.start).await,
        Some(Range { start, end }) => {
            let text = format!("bytes={start}-{}", end - 1);
            Some(HeaderValue::from_str(&text).map_err(|error| Error::new(&core_codes::INTERNAL, text).with_source(error))?)
        }
    };
    let answer = account.open(cx, &place, range).await?;
    let status = answer.status();
    if !status.is_success() {
        let body = answer.into_body().whole(EXCERPT).await.unwrap_or_default();
        return Err(refused("reading", key.as_str(), status, &body));
    }
    let head = Head::of(answer.headers());
    let Some(size) = head.size else {
        return Err(Error::new(&backup_remote::codes::ANSWER, format!("Swift does not say how long `{key}` is")));
    };
    let meta = ObjectMeta::new(key.clone(), size).modified(head.modified).etag(head.etag);
    let expected = if status == StatusCode::PARTIAL_CONTENT { answer.body().length() } else { Some(size) };
    Ok(ObjectRead { meta, body: whole(key, expected, answer.into_body().stream()) })
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
    let Some(head) = found else { return Err(Error::new(&core_codes::STORE_NOT_FOUND, format!("`{key}` is not in the container"))) };
    Ok(ObjectMeta::new(key.clone(), head.size.unwrap_or_default()).modified(head.modified).etag(head.etag))
}

/// The stream, ended by an error when it is shorter than it should be.
fn whole(
    key: &ObjectKey,
    expected: Option<u64>,
    body: stream::BoxStream<'static, Result<bytes::Bytes>>,
) -> stream::BoxStream<'static, Result<bytes::Bytes>> {
    let Some(expected) = expected else { return body };
    let key = key.clone();
    stream::try_unfold((body, 0), move |(mut body, got)| {
        let key = key.clone();
        async move {
            match body.try_next().await? {
                Some(bytes) => {
                    let got = got + bytes.len() as u64;
                    Ok(Some((bytes, (body, got))))
                }
                None if got == expected => Ok(None),
                None => Err(Error::new(
                    &backup_remote::codes::ANSWER,
                    format!("the body of `{key}` ended after {got} of {expected} bytes"),
                )),
            }
        }
    })
    .boxed()
}
