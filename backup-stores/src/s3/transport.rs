//! How opendal reaches the server: it makes requests and reads answers; signing, retries, limits and errors are ours.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use backup_core::{Bytes, Error, JobContext};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use opendal::raw::ServiceOperation;
use opendal::{Buffer, ErrorKind, HttpBody, HttpTransport, HttpTransporter, OperationContext};

use super::wire::{CHECKSUM, Wire, checksum};
use super::xml::with_blanks;

/// One call through opendal.
pub(super) struct Through {
    failed: Failed,
    pub(super) context: OperationContext,
}

/// Our own error, which opendal's cannot carry in full.
type Failed = Arc<Mutex<Option<Error>>>;

impl Through {
    /// `headers` are added to the request, beside those that opendal makes.
    pub(super) fn new(wire: &Wire, cx: &JobContext, headers: HeaderMap) -> Self {
        let failed = Failed::default();
        let transport = Transport { wire: wire.clone(), cx: cx.clone(), headers, failed: Arc::clone(&failed) };
        Self { failed, context: OperationContext::new().with_http_transport(HttpTransporter::new(transport)) }
    }

    /// Our error for one of opendal.
    pub(super) fn error(&self, error: opendal::Error) -> Error {
        ours(&self.failed, error)
    }

    /// The same for a body, which outlives the call.
    pub(super) fn mapper(&self) -> impl Fn(opendal::Error) -> Error + Send + Sync + use<> {
        let failed = Arc::clone(&self.failed);
        move |error| ours(&failed, error)
    }
}

fn ours(failed: &Failed, error: opendal::Error) -> Error {
    let carried = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    carried.unwrap_or_else(|| Error::new(&backup_remote::codes::ANSWER, "the server's answer cannot be used").with_source(error))
}

struct Transport {
    wire: Wire,
    cx: JobContext,
    headers: HeaderMap,
    failed: Failed,
}

impl Transport {
    fn fail(&self, error: Error) -> opendal::Error {
        fail(&self.failed, error)
    }
}

fn fail(failed: &Failed, error: Error) -> opendal::Error {
    let text = error.to_string();
    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    opendal::Error::new(ErrorKind::Unexpected, text)
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let operation = request.extensions().get::<ServiceOperation>().map_or("S3", |operation| operation.0);
        let (mut parts, body) = request.into_parts();
        let pieces: Vec<Bytes> = Iterator::collect(body);
        if parts.method == Method::PUT {
            parts.headers.insert(HeaderName::from_static(CHECKSUM), checksum(&pieces));
        }
        parts.headers.extend(self.headers.clone());
        let url = canonical(&parts.uri.to_string());
        parts.uri = url.parse().map_err(|_| opendal::Error::new(ErrorKind::Unexpected, "no URL can be made"))?;
        let request = Request::from_parts(parts, pieces);
        if operation != "GetObject" {
            let answer = self.wire.fetch(&self.cx, operation, request).await.map_err(|error| self.fail(error))?;
            let (parts, body) = answer.into_parts();
            let body = match operation {
                "ListObjectsV2" => Bytes::from(with_blanks(&body)),
                _ => body,
            };
            let whole = futures::stream::iter([Ok(Buffer::from(body))]);
            return Ok(Response::from_parts(parts, HttpBody::new(whole, None)));
        }
        let skips = request.headers().get(header::RANGE).is_some_and(|range| !range.as_bytes().starts_with(b"bytes=0-"));
        let answer = self.wire.open(&self.cx, operation, request).await.map_err(|error| self.fail(error))?;
        if skips && answer.status() != StatusCode::PARTIAL_CONTENT {
            return Err(self.fail(Error::new(&backup_remote::codes::ANSWER, "the server took no notice of the range")));
        }
        let (parts, body) = answer.into_parts();
        let length = body.length();
        let failed = Arc::clone(&self.failed);
        let stream = body.stream().map(move |bytes| bytes.map(Buffer::from).map_err(|error| fail(&failed, error)));
        Ok(Response::from_parts(parts, HttpBody::new(Shared(Mutex::new(stream.boxed())), length)))
    }
}

/// Escapes what opendal leaves and signatures escape: some servers sign what they got, not what it means.
fn canonical(url: &str) -> String {
    let mut escaped = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            '!' | '\'' | '(' | ')' | '*' => escaped.push_str(&format!("%{:02X}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A stream that may be shared, as opendal wants it, because nobody can do anything with a shared one.
struct Shared(Mutex<BoxStream<'static, opendal::Result<Buffer>>>);

impl Stream for Shared {
    type Item = opendal::Result<Buffer>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).poll_next_unpin(context)
    }
}
