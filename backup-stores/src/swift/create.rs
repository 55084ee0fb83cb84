//! Making an object: one conditional request, and what is done when nobody knows what it did.

use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::{Digest, Effect, Error, JobContext, ObjectKey, ObjectMeta, Result};
use backup_remote::http::http::{HeaderValue, Method, StatusCode, header};
use backup_remote::http::unsettled;
use backup_remote::{Call, Repeat};
use bytes::Bytes;

use super::account::{Account, Head, OCTETS, SHA256, WRITE_ID, unquoted};
use super::codes;
use super::error::refused;

/// How long looking back may take, also in a job that has ended.
const LOOK_BACK: Duration = Duration::from_secs(30);

/// An object to be made.
pub(super) struct NewObject<'a> {
    pub(super) key: &'a ObjectKey,
    /// What the request sends: the object, or its manifest.
    pub(super) body: Vec<Bytes>,
    /// Of the request: empty, or that of a manifest.
    pub(super) query: &'static str,
    /// What the object will have: the MD5 of the body, or that of the segments' etags.
    pub(super) etag: String,
    pub(super) size: u64,
    pub(super) if_absent: bool,
    /// What whoever writes it says of all its bytes.
    pub(super) sha256: Option<Digest>,
}

impl Account {
    /// Makes an object.
    ///
    /// Swift looks at `If-None-Match` when a request begins, and stores what it brought when it ends: of writers that overlap, several
    /// may be told that they made the object, and the last one's stays. So the object is looked at once more: it has to be ours.
    pub(super) async fn create(&self, cx: &JobContext, mut new: NewObject<'_>) -> Result<ObjectMeta> {
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
        let bytes = new.body.iter().map(|piece| piece.len() as u64).sum();
        *request.body_mut() = std::mem::take(&mut new.body);
        let call = Call::changing("PutObject", Repeat::Always).bytes(bytes);
        let sent = self.send(cx, call, request).await;

        let meta = |head: Option<&Head>| {
            ObjectMeta::new(new.key.clone(), new.size).etag(Some(new.etag.clone())).modified(head.and_then(|head| head.modified))
        };
        let taken = || Error::new(&core_codes::STORE_EXISTS, format!("`{}` exists", new.key));
        let outcome = match sent {
            Err(error) if error.effect() == Effect::None => return Err(error),
            Err(error) => Err(error),
            Ok(answer) => match answer.status() {
                StatusCode::CREATED | StatusCode::ACCEPTED | StatusCode::OK => {
                    let stored = answer.headers().get(header::ETAG).and_then(|value| value.to_str().ok()).map(unquoted);
                    Ok(Some(stored.is_none_or(|stored| stored == new.etag)))
                }
                // A conflict is a write that is newer than this one. An attempt of ours that got no answer may be what is there.
                StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(None),
                status => {
                    let error = refused("writing", new.key.as_str(), status, answer.body());
                    if !unsettled(&answer) {
                        return Err(error);
                    }
                    Err(error.with_effect(Effect::Unknown))
                }
            },
        };
        let cleanup = cx.for_cleanup(LOOK_BACK);
        let looked = self.head(&cleanup, &place).await;
        let ours = |head: &Head| head.write_id.as_deref() == Some(write_id.as_str());
        match (outcome, looked) {
            (Ok(None), Ok(Some(head))) | (Err(_), Ok(Some(head))) | (Ok(Some(_)), Ok(Some(head))) if ours(&head) => {
                let right = head.etag.as_deref() == Some(new.etag.as_str()) && head.size == Some(new.size);
                if right { Ok(meta(Some(&head))) } else { Err(altered(&new, &head)) }
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
