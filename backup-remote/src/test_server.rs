//! A real server for tests.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::testkit::FaultyProxy;

/// Answers `GET /n` with n bytes of `a`, `GET /chunked/n` with the same in two chunks, `GET /pattern/n` with what [`pattern`] gives, from
/// where `Range` says; `/away` with a redirect to `/3`. It takes everything else, and remembers what it got.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    task: JoinHandle<()>,
}

/// A request that came whole.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Bytes of which a part can be told from another one.
pub(crate) fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at % 251) as u8).collect()
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let handler = {
            let got = Arc::clone(&got);
            move |request: Request<Body>| answer(request, Arc::clone(&got))
        };
        let task = tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await.unwrap() });
        Self { address, got, task }
    }

    pub(crate) async fn proxied() -> (Self, FaultyProxy) {
        let server = Self::start().await;
        let proxy = FaultyProxy::http(&format!("http://{}", server.address)).await;
        (server, proxy)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request<Body>, got: Arc<Mutex<Vec<Got>>>) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else { return StatusCode::BAD_REQUEST.into_response() };
    let range = parts.headers.get(header::RANGE).map(|range| range.to_str().unwrap().to_owned());
    got.lock().unwrap().push(Got { headers: parts.headers, body });
    let path = parts.uri.path();
    let number = |prefix: &str| path.strip_prefix(prefix).and_then(|number| number.parse::<usize>().ok());
    if path == "/away" {
        return (StatusCode::FOUND, [(header::LOCATION, "/3")]).into_response();
    }
    if let Some(bytes) = number("/chunked/") {
        let half = Bytes::from(vec![b'a'; bytes / 2]);
        let parts = [half.clone(), half].map(Ok::<_, std::convert::Infallible>);
        return Body::from_stream(futures::stream::iter(parts)).into_response();
    }
    if let Some(bytes) = number("/pattern/") {
        let start = range.map_or(0, |range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
        return pattern(bytes).split_off(start).into_response();
    }
    number("/").map_or_else(|| "taken".into_response(), |bytes| vec![b'a'; bytes].into_response())
}
