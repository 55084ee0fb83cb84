//! A stored artifact as an HTTP answer (RFC 9110): validators, conditional requests, one range, streamed.

mod body;
mod conditions;
mod date;
mod range;
#[cfg(test)]
mod tests;
mod validators;

use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, RANGE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use backup_core::manifest::Artifact;
use backup_core::source::ArtifactStream;
use backup_core::{Digest, Result};
use chrono::{DateTime, Utc};

use body::DownloadBody;
use conditions::Verdict;
use range::Wanted;
use validators::Validators;

/// How long a client may take nothing of a download before it is dropped.
pub const DEFAULT_STALL: Duration = Duration::from_secs(60);

/// What is known of a download before its bytes are opened.
///
/// # Behavior
/// `GET` and `HEAD` with `If-Match`, `If-Unmodified-Since`, `If-None-Match`, `If-Modified-Since`, `If-Range` and a single
/// `Range`, in the order of RFC 9110 section 13.2.2. Several ranges in one request, an unknown unit or a malformed
/// range are answered in full, as the RFC allows. `Content-Length` is always exact.
#[derive(Debug, Clone)]
pub struct Download {
    size: u64,
    validators: Validators,
    content_type: HeaderValue,
    headers: HeaderMap,
    stall: Duration,
}

impl Download {
    /// A download of `size` bytes whose SHA-256 is the strong entity tag.
    pub fn new(size: u64, sha256: &Digest) -> Self {
        Self {
            size,
            validators: Validators::of(sha256),
            content_type: HeaderValue::from_static("application/octet-stream"),
            headers: HeaderMap::new(),
            stall: DEFAULT_STALL,
        }
    }

    /// The stored bytes of an artifact.
    pub fn stored(artifact: &Artifact) -> Self {
        Self::new(artifact.stored.size, &artifact.stored.sha256)
    }

    /// Sets `Last-Modified`; fractions of a second are cut off.
    #[must_use]
    pub fn last_modified(mut self, time: DateTime<Utc>) -> Self {
        self.validators.modified(time);
        self
    }

    /// Sets `Content-Type`; `application/octet-stream` otherwise.
    #[must_use]
    pub fn content_type(mut self, media_type: &'static str) -> Self {
        self.content_type = HeaderValue::from_static(media_type);
        self
    }

    /// Adds a header to the answers that carry the bytes (200 and 206), and to the answer to `HEAD`.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Sets how long a client may take nothing before the download is given up: 64 KiB at least must leave in that time.
    #[must_use]
    pub fn stall_limit(mut self, limit: Duration) -> Self {
        self.stall = limit;
        self
    }

    /// The bytes of the whole download.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Answers a request. `open` is called only when bytes are sent: not for `HEAD`, 304, 412 and 416; its range is `None`
    /// for everything.
    ///
    /// # Behavior
    /// The first piece is awaited before the answer begins, so that an artifact that is missing or damaged at its start is an
    /// error that the caller renders. After that, a failing stream, or one of another length, cuts the body: the last bytes
    /// leave only when the stream ended well, so a client never takes a bad download for a whole one. Pieces are handed on
    /// as they come, one at a time, in frames of at most 64 KiB.
    ///
    /// # Errors
    /// Those of `open` and of the first piece.
    ///
    /// # Cancel safety
    /// Dropping the future or the answer's body drops the stream.
    pub async fn respond<F, O>(self, method: &Method, request: &HeaderMap, open: F) -> Result<Response>
    where
        F: FnOnce(Option<Range<u64>>) -> O,
        O: Future<Output = Result<ArtifactStream>>,
    {
        match conditions::evaluate(request, &self.validators) {
            Verdict::Failed => return Ok(self.bare(StatusCode::PRECONDITION_FAILED)),
            Verdict::NotModified => return Ok(self.bare(StatusCode::NOT_MODIFIED)),
            Verdict::Send => {}
        }
        if method == Method::HEAD {
            return Ok(self.content(None, Body::empty()));
        }
        let wanted = match conditions::range_applies(request, &self.validators) {
            true => range::wanted(request.get_all(RANGE), self.size),
            false => Wanted::All,
        };
        let range = match wanted {
            Wanted::All => None,
            Wanted::Part(range) => Some(range),
            Wanted::Unsatisfiable => return Ok(self.unsatisfiable()),
        };
        let length = range.as_ref().map_or(self.size, |range| range.end - range.start);
        let stream = open(range.clone()).await?;
        let body = DownloadBody::start(stream, length, self.stall).await?;
        Ok(self.content(range, Body::new(body)))
    }

    fn content(self, range: Option<Range<u64>>, body: Body) -> Response {
        let mut answer = Response::new(body);
        let headers = answer.headers_mut();
        *headers = self.headers;
        self.validators.write(headers);
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(CONTENT_TYPE, self.content_type);
        let length = match &range {
            Some(range) => range.end - range.start,
            None => self.size,
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if let Some(range) = range {
            let text = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), self.size);
            headers.extend(HeaderValue::from_str(&text).ok().map(|value| (CONTENT_RANGE, value)));
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        answer
    }

    fn unsatisfiable(self) -> Response {
        let text = format!("bytes */{}", self.size);
        let mut answer = self.bare(StatusCode::RANGE_NOT_SATISFIABLE);
        answer.headers_mut().extend(HeaderValue::from_str(&text).ok().map(|value| (CONTENT_RANGE, value)));
        answer
    }

    /// An answer without content.
    fn bare(self, status: StatusCode) -> Response {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        if status == StatusCode::NOT_MODIFIED {
            self.validators.write(headers);
        } else {
            // A 412 or 416 is about the request, not the artifact: it carries no validator that a cache could take up.
            headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
            headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        debug_assert!(!headers.contains_key(LAST_MODIFIED) || headers.contains_key(ETAG));
        answer
    }
}
