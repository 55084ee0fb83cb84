//! Making an object: one conditional request, and what is done when nobody knows what it did.

use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::store::Payload;
use backup_core::{Digest, Effect, Error, JobContext, ObjectKey, ObjectMeta, Result};
use backup_remote::http::Streamed;
use backup_remote::http::http::{HeaderValue, Method, StatusCode, header};
use backup_remote::{Call, Repeat};
use bytes::Bytes;

use super::account::{Account, Head, OCTETS, SHA256, WRITE_ID, unquoted};
use super::codes;
use super::error::refused_change;

/// How long looking back may take, also in a job that has ended.
const LOOK_BACK: Duration = Duration::from_secs(30);
/// How long removing the segments of an object that was replaced may take.
const REPLACED: Duration = Duration::from_secs(600);

/// An object to be made.
pub(super) struct NewObject<'a> {
    pub(super) key: &'a ObjectKey,
    /// Of the request: empty, or that of a manifest.
    pub(super) query: &'static str,
    /// What the object will have: the MD5 of the body, or that of the segments' etags.
    pub(super) etag: String,
    pub(super) size: u64,
    pub(super) if_absent: bool,
    /// What whoever writes it says of all its bytes.
    pub(super) sha256: Option<Digest>,
}

/// What the request sends: the object, or its manifest.
pub(super) enum Content {
    Pieces(Vec<Bytes>),
    Payload(Arc<dyn Payload>),
}

impl Account {
    /// Makes an object. A large one of ours whose place it takes is removed with its segments, which nothing names then.
    pub(super) async fn create(&self, cx: &JobContext, new: NewObject<'_>, content: Content) -> Result<ObjectMeta> {
        let replaced = match new.if_absent {
            true => Vec::new(),
            false => self.uploads_of(cx, &self.places.object(new.key)?).await?,
        };
        let meta = self.make(cx, &new, content).await?;
        for upload in replaced {
            if let Err(error) = self.remove_segments(&cx.for_cleanup(REPLACED), &upload, 0).await {
                let place = self.places.parts(&upload).plain();
                tracing::warn!(key = %new.key, place, %error, "segments of the object that was replaced stay behind");
            }
        }
        Ok(meta)
    }

    /// Swift looks at `If-None-Match` when a request begins, and stores what it brought when it ends: of writers that overlap, several
    /// may be told that they made the object, and the last one's stays. So the object is looked at once more: it has to be ours.
    async fn make(&self, cx: &JobContext, new: &NewObject<'_>, content: Content) -> Result<ObjectMeta> {
        let place = self.places.object(new.key)?;
        let random = &cx.environment().random;
        let write_id = format!("{:016x}{:016x}", random.next_u64(), random.next_u64());
        let mut request = self.request(Method::PUT, &format!("{}{}", place.path(), new.query))?;
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, OCTETS);
        for (name, text) in [(header::ETAG, &new.etag), (WRITE_ID, &write_id)] {
            headers.extend(HeaderValue::from_str(text).ok().map(|value| (name, value)));
        }
        let sha256 = new.sha256.and_then(|digest| HeaderValue::from_str(&digest.to_string()).ok());
        headers.extend(sha256.map(|digest| (SHA256, digest)));
        if new.if_absent {
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        match content {
            Content::Pieces(pieces) => *request.body_mut() = pieces,
            Content::Payload(payload) => {
                request.extensions_mut().insert(Streamed::new(payload.size(), move || payload.open()));
            }
        }
        let sent = self.send(cx, Call::changing("PutObject", Repeat::Always), request).await;

        let meta = |head: Option<&Head>| {
            ObjectMeta::new(new.key.clone(), new.size).etag(Some(new.etag.clone())).modified(head.and_then(|head| head.modified))
        };
        let taken = || Error::new(&core_codes::STORE_EXISTS, format!("`{}` exists", new.key));
        let outcome = match sent {
            Err(error) => Err(error),
            Ok(answer) => match answer.status() {
                StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::OK => {
                    let stored = answer.headers().get(header::ETAG).and_then(|value| value.to_str().ok()).map(unquoted);
                    Ok(Some(stored.is_none_or(|stored| stored == new.etag)))
                }
                // A conflict is a write that is newer than this one. An attempt of ours that got no answer may be what is there.
                StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(None),
                _ => Err(refused_change("writing", new.key.as_str(), &answer)),
            },
        };
        let outcome = match outcome {
            Err(error) if error.effect() == Effect::None => return Err(error),
            outcome => outcome,
        };
        let cleanup = cx.for_cleanup(LOOK_BACK);
        let looked = self.head(&cleanup, &place).await;
        let ours = |head: &Head| head.write_id.as_deref() == Some(write_id.as_str());
        match (outcome, looked) {
            (Ok(None), Ok(Some(head))) | (Err(_), Ok(Some(head))) | (Ok(Some(_)), Ok(Some(head))) if ours(&head) => {
                let right = head.etag.as_deref() == Some(new.etag.as_str()) && head.size == Some(new.size);
                if right { Ok(meta(Some(&head))) } else { Err(altered(new, &head)) }
            }
            // Another one's is there.
            (Ok(Some(_)), Ok(Some(_))) if new.if_absent => Err(taken()),
            // Stored, and then replaced or removed by somebody.
            (Ok(Some(true)), Ok(_)) => Ok(meta(None)),
            (Ok(Some(true)), Err(error)) => {
                Err(error.with_effect(Effect::Applied).context(format!("looking at `{}` once more", new.key)))
            }
            (Ok(Some(false)), _) => {
                Err(Error::new(&codes::CHECKSUM, format!("Swift stored another content as `{}` than it was sent", new.key))
                    .with_effect(Effect::Applied))
            }
            (Ok(None), Ok(_)) => Err(taken()),
            (Ok(None), Err(error)) => {
                Err(error.with_effect(Effect::Unknown).context(format!("settling who wrote `{}`", new.key)))
            }
            (Err(error), _) => Err(error),
        }
    }
}

fn altered(new: &NewObject<'_>, head: &Head) -> Error {
    let text = format!(
        "`{}` has {} bytes and the ETag {} at Swift, instead of {} and {}",
        new.key,
        head.size.unwrap_or_default(),
        head.etag.as_deref().unwrap_or("none"),
        new.size,
        new.etag
    );
    Error::new(&codes::CHECKSUM, text).with_effect(Effect::Applied)
}
