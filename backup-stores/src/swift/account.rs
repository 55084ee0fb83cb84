//! The account: requests on containers and objects, each as Swift's API has it.

use std::fmt;
use std::sync::Arc;

use backup_core::{Digest, JobContext, Result};
use backup_remote::http::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use backup_remote::http::{Body, Streamed, made_again, unsettled};
use backup_remote::keystone::Service;
use backup_remote::{Call, Repeat};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;

use super::error::{refused, refused_change};
use super::limits::Limits;
use super::place::{Place, Places, escaped};

/// The longest answer that is no listing and no manifest.
const ANSWER: u64 = 1 << 20;

/// How often what was damaged on its way is sent again.
const DAMAGED: u32 = 2;

/// What its writer says of the bytes of an object.
pub(super) const SHA256: HeaderName = HeaderName::from_static("x-object-meta-backup-sha256");

/// Who wrote an object: a random number of ours, to know our own write again.
pub(super) const WRITE_ID: HeaderName = HeaderName::from_static("x-object-meta-backup-write");

pub(super) struct Account {
    pub(super) service: Service,
    pub(super) places: Places,
    pub(super) limits: Limits,
    pub(super) segment_size: Option<u64>,
    /// The container of segments is there.
    segments: OnceCell<()>,
}

/// An account and what its requests go by.
pub(super) type Shared = Arc<Account>;

/// What the head of an answer says of an object.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) size: Option<u64>,
    pub(super) etag: Option<String>,
    pub(super) modified: Option<DateTime<Utc>>,
    pub(super) write_id: Option<String>,
    pub(super) sha256: Option<Digest>,
    /// It is the manifest of a large object.
    pub(super) large: bool,
}

impl Account {
    pub(super) fn new(service: Service, places: Places, limits: Limits, segment_size: Option<u64>) -> Self {
        Self { service, places, limits, segment_size, segments: OnceCell::new() }
    }

    pub(super) fn request(&self, method: Method, path_and_query: &str) -> Result<Request<Vec<Bytes>>> {
        let uri = format!("{}{path_and_query}", self.service.url());
        Request::builder().method(method).uri(uri).body(Vec::new()).map_err(|error| {
            backup_core::Error::new(
                &backup_remote::codes::CONFIG,
                format!("no request can be made for `{path_and_query}`: {error}"),
            )
        })
    }

    pub(super) async fn send(&self, cx: &JobContext, call: Call, mut request: Request<Vec<Bytes>>) -> Result<Response<Bytes>> {
        // Swift wants the length of an empty object said; the client says only those of others.
        let empty = request.body().iter().all(Bytes::is_empty) && request.extensions().get::<Streamed>().is_none();
        if request.method() == Method::PUT && empty {
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut answer = self.service.fetch(cx, &call, request.clone(), ANSWER).await?;
        // What came was not what was sent, and nothing was stored.
        for _ in 0..DAMAGED {
            if answer.status() != StatusCode::UNPROCESSABLE_ENTITY {
                break;
            }
            let earlier = call.changes && unsettled(&answer);
            answer = made_again(earlier, self.service.fetch(cx, &call, request.clone(), ANSWER).await)?;
        }
        Ok(answer)
    }

    /// Whether a container is there.
    pub(super) async fn has_container(&self, cx: &JobContext, container: &str) -> Result<bool> {
        let request = self.request(Method::HEAD, &format!("/{}", escaped(container)))?;
        let answer = self.send(cx, Call::reading("HeadContainer"), request).await?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(refused("looking at the container", container, status, answer.body())),
        }
    }

    /// Makes a container; one that is there stays as it is.
    pub(super) async fn make_container(&self, cx: &JobContext, container: &str) -> Result<()> {
        let request = self.request(Method::PUT, &format!("/{}", escaped(container)))?;
        let answer = self.send(cx, Call::changing("PutContainer", Repeat::Always), request).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(refused_change("making the container", container, &answer))
    }

    /// Makes the container of segments, once.
    pub(super) async fn make_segments_container(&self, cx: &JobContext) -> Result<()> {
        let container = &self.places.segments;
        let make =
            || async { if self.has_container(cx, container).await? { Ok(()) } else { self.make_container(cx, container).await } };
        self.segments.get_or_try_init(make).await.copied()
    }

    pub(super) async fn head(&self, cx: &JobContext, place: &Place) -> Result<Option<Head>> {
        let request = self.request(Method::HEAD, &place.path())?;
        let answer = self.send(cx, Call::reading("HeadObject"), request).await?;
        match answer.status() {
            status if status.is_success() => Ok(Some(Head::of(answer.headers()))),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(refused("looking at", &place.name, status, answer.body())),
        }
    }

    pub(super) async fn open(&self, cx: &JobContext, place: &Place, range: Option<HeaderValue>) -> Result<Response<Body>> {
        let mut request = self.request(Method::GET, &place.path())?;
        if let Some(range) = range {
            request.headers_mut().insert(header::RANGE, range);
        }
        self.service.open(cx, &Call::reading("GetObject"), request).await
    }

    /// Removes one object, as it stands: of a large one only the manifest. `false` when it was not there.
    pub(super) async fn remove(&self, cx: &JobContext, place: &Place) -> Result<bool> {
        let request = self.request(Method::DELETE, &place.path())?;
        let answer = self.send(cx, Call::changing("DeleteObject", Repeat::Always), request).await?;
        match answer.status() {
            status if status.is_success() => Ok(true),
            // An attempt that got no answer may have removed it.
            StatusCode::NOT_FOUND => Ok(unsettled(&answer)),
            _ => Err(refused_change("deleting", &place.name, &answer)),
        }
    }

    /// A small object of the store's own, under a name that nobody else uses.
    pub(super) async fn put_own(&self, cx: &JobContext, place: &Place, body: Bytes) -> Result<()> {
        let mut request = self.request(Method::PUT, &place.path())?;
        let bytes = body.len() as u64;
        request.headers_mut().insert(header::CONTENT_TYPE, OCTETS);
        request.body_mut().push(body);
        let answer = self.send(cx, Call::changing("PutObject", Repeat::Always).bytes(bytes), request).await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(refused_change("writing", &place.name, &answer))
    }

    /// The whole of a small object of the store's own, or of a manifest; `None` when it is not there.
    pub(super) async fn get_own(
        &self,
        cx: &JobContext,
        place: &Place,
        query: &str,
        limit: u64,
    ) -> Result<Option<Response<Bytes>>> {
        let request = self.request(Method::GET, &format!("{}{query}", place.path()))?;
        let answer = self.service.fetch(cx, &Call::reading("GetObject"), request, limit).await?;
        match answer.status() {
            status if status.is_success() => Ok(Some(answer)),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(refused("reading", &place.name, status, answer.body())),
        }
    }
}

/// Swift would guess a type by the name.
pub(super) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

impl Head {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let whole = text("content-range").and_then(|range| range.rsplit_once('/')).and_then(|(_, whole)| whole.parse().ok());
        let large = text("x-static-large-object").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Self {
            size: whole.or_else(|| text("content-length")?.parse().ok()),
            etag: text("etag").map(unquoted),
            modified: text("x-timestamp").and_then(timestamp),
            write_id: text(WRITE_ID.as_str()).map(str::to_owned),
            sha256: text(SHA256.as_str()).and_then(|digest| Digest::from_hex(digest).ok()),
            large,
        }
    }
}

/// An ETag as it is compared: those of large objects come in quotes.
pub(super) fn unquoted(etag: &str) -> String {
    etag.trim_matches('"').to_owned()
}

/// Swift's own time of an object, seconds since 1970 with five digits behind the point.
fn timestamp(text: &str) -> Option<DateTime<Utc>> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    DateTime::from_timestamp_micros(seconds.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)?)
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("service", &self.service).field("places", &self.places).finish_non_exhaustive()
    }
}
