mod conditional;
mod ranges;
mod streaming;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use backup_core::{Bytes, Digest, Result};
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};
use http_body_util::BodyExt;

use super::Download;

pub(super) const CONTENT: &[u8] = b"0123456789abcdefghij";
const MODIFIED: &str = "Sat, 21 Nov 2026 05:00:00 GMT";

fn modified() -> DateTime<Utc> {
    "2026-11-21T05:00:00.75Z".parse().unwrap()
}

fn etag() -> String {
    format!("\"{}\"", Digest::of(CONTENT))
}

fn download() -> Download {
    Download::new(CONTENT.len() as u64, &Digest::of(CONTENT)).last_modified(modified()).content_type("application/gzip")
}

/// What a request to `download` came to: the answer, and what was opened.
struct Answered {
    response: Response,
    opened: Vec<Option<Range<u64>>>,
}

impl Answered {
    fn status(&self) -> StatusCode {
        self.response.status()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    async fn body(self) -> Bytes {
        self.response.into_body().collect().await.unwrap().to_bytes()
    }
}

async fn ask(method: Method, headers: &[(&str, &str)]) -> Answered {
    ask_of(download(), CONTENT, method, headers).await
}

async fn ask_of(download: Download, content: &'static [u8], method: Method, headers: &[(&str, &str)]) -> Answered {
    let request: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap()))
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        });
    let opened = Mutex::new(Vec::new());
    let response = download
        .respond(&method, &request, async |range| {
            opened.lock().unwrap().push(range.clone());
            let range = range.map_or(0..content.len(), |range| range.start as usize..range.end as usize);
            let pieces: Vec<Result<Bytes>> = content[range].chunks(7).map(|piece| Ok(Bytes::from_static(piece))).collect();
            Ok(stream::iter(pieces).boxed())
        })
        .await
        .unwrap();
    Answered { response, opened: opened.into_inner().unwrap() }
}

/// Counts the streams that are alive.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct Token(Arc<AtomicUsize>);

impl Alive {
    fn token(&self) -> Token {
        self.0.fetch_add(1, Ordering::SeqCst);
        Token(Arc::clone(&self.0))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
