//! Hostile clients over raw sockets: 4xx or closed, never content, never a panic, and the next client is served.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod framing;
mod memory;
mod paths;
mod slow;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use backup_core::{Bytes, Digest};
use backup_http::access::AccessLog;
use backup_http::auth::{Auth, AuthConfig, BasicUser};
use backup_http::download::Download;
use backup_http::limits::{Limits, RequestLimits};
use backup_http::observe::Metrics;
use backup_http::server::{Server, ServerConfig};
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The server's limit for everything slow, and what a test waits at most.
const LIMIT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

const SIZE: u64 = 1 << 40;

struct Served {
    address: SocketAddr,
    panics: Arc<AtomicUsize>,
    /// Downloads whose stream is open.
    downloads: Arc<AtomicUsize>,
    _shutdown: tokio_util::sync::DropGuard,
}

struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn file(Path(name): Path<String>) -> Response {
    match name.as_str() {
        "good.txt" => "good".into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn router(downloads: Arc<AtomicUsize>) -> Router {
    let download = move |method: Method, headers: HeaderMap| async move {
        let open = async |_| {
            downloads.fetch_add(1, Ordering::SeqCst);
            let open = Open(Arc::clone(&downloads));
            let pieces = stream::unfold(open, |open| async { Some((Ok(Bytes::from(vec![7; 1 << 20])), open)) });
            Ok(pieces.boxed())
        };
        Download::new(SIZE, &Digest::of(b"")).stall_limit(LIMIT).respond(&method, &headers, open).await.unwrap()
    };
    let config = serde_json::json!({"basic": [{"user": "a", "password": "b"}]});
    let mut config: AuthConfig = serde_json::from_value(config).unwrap();
    config.basic.push(BasicUser::new("c", "d"));
    let secret = Router::new().route("/secret", get(|| async { "secret" })).route_layer(Auth::new(&config).unwrap());
    Router::new()
        .route("/", get(|| async { "root" }))
        .route("/files/{name}", get(file))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/download", get(download))
        .merge(secret)
}

async fn serve() -> Served {
    let limits = Limits::default();
    let limits = {
        let mut limits = limits;
        limits.body_bytes = 10_000;
        (limits.header_read_timeout, limits.body_read_timeout) = (LIMIT, LIMIT);
        (limits.idle_timeout, limits.write_stall) = (LIMIT, LIMIT);
        limits
    };
    let panics = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&panics);
    // A panic is answered with 500, which no test accepts; one outside of a handler would only cut its connection.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        seen.fetch_add(1, Ordering::SeqCst);
        before(info);
    }));
    let downloads = Arc::new(AtomicUsize::new(0));
    let metrics = Metrics::new("hostile", "0");
    let router = router(Arc::clone(&downloads))
        .layer(RequestLimits::new(&limits))
        .layer(metrics.http())
        .layer(AccessLog::new().id_header("x-request-id".parse().unwrap()));
    let server = Server::bind(ServerConfig::new("127.0.0.1:0").limits(limits)).await.unwrap();
    let (address, shutdown) = (server.local_addr(), CancellationToken::new());
    tokio::spawn(server.run(router, shutdown.clone(), Duration::ZERO));
    Served { address, panics, downloads, _shutdown: shutdown.drop_guard() }
}

impl Served {
    /// Sends bytes, and reads until the server closes.
    async fn send(&self, request: &[u8]) -> Vec<u8> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let mut answer = Vec::new();
        // Either direction may end in a reset: the server need not take what it does not want.
        let exchange = async { tokio::join!(writing.write_all(request), reading.read_to_end(&mut answer)) };
        assert!(timeout(PATIENCE, exchange).await.is_ok(), "{} is never closed", shown(request));
        answer
    }

    /// The statuses of all answers to `request`.
    async fn statuses(&self, request: &[u8]) -> Vec<u16> {
        let answer = String::from_utf8_lossy(&self.send(request).await).into_owned();
        answer.split("HTTP/1.").skip(1).map(|rest| rest[2..5].parse().unwrap()).collect()
    }

    /// Nothing, or one answer that is a 4xx.
    async fn refuses(&self, request: impl AsRef<[u8]>) {
        let request = request.as_ref();
        let statuses = self.statuses(request).await;
        assert!(
            statuses.len() <= 1 && statuses.iter().all(|status| (400..500).contains(status)),
            "{}: {statuses:?}",
            shown(request)
        );
        self.is_well().await;
    }

    async fn is_well(&self) {
        let statuses = self.statuses(b"GET /files/good.txt HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert_eq!(statuses, [200]);
        assert_eq!(self.panics.load(Ordering::SeqCst), 0);
    }
}

fn shown(request: &[u8]) -> String {
    String::from_utf8_lossy(&request[..request.len().min(200)]).escape_debug().to_string()
}

/// A request with a path, alone on its connection.
fn get_of(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

/// A request with header lines, alone on its connection.
fn with(headers: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")
}
