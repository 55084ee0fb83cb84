//! A stored backup over the network: whole, in parts, damaged; HTTP/1.1 and HTTP/2.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use backup_core::cpu::CpuPool;
use backup_core::source::{ArtifactOptions, Probe, Sink, Source, Summary};
use backup_core::testkit::{SimStore, test_environment};
use backup_core::{ArtifactName, BackupReader, BackupRequest, Bytes, JobContext, Repository, SetName, async_trait};
use backup_http::download::Download;
use backup_http::server::{Server, ServerConfig};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Three blocks, the last one short.
const SIZE: usize = (8 << 20) + 12_345;

fn content() -> Bytes {
    (0..SIZE).map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>().into()
}

fn artifact() -> ArtifactName {
    ArtifactName::new("data").unwrap()
}

#[derive(Debug)]
struct Data;

#[async_trait]
impl Source for Data {
    fn kind(&self) -> &str {
        "data"
    }

    async fn probe(&self, _: &JobContext) -> backup_core::Result<Probe> {
        Ok(Probe::default())
    }

    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> backup_core::Result<Summary> {
        let mut writer = sink.artifact(&artifact(), ArtifactOptions::default()).await?;
        writer.write(content()).await?;
        writer.close().await?;
        Ok(Summary::default())
    }
}

struct Served {
    store: SimStore,
    key: String,
    address: SocketAddr,
    _shutdown: DropGuard,
}

impl Served {
    async fn start() -> Self {
        let (environment, clock) = test_environment(1);
        clock.auto_advance_up_to(Duration::from_secs(10));
        let store = SimStore::new(clock);
        let repository = Repository::builder(Arc::new(store.clone())).environment(environment).cpu(CpuPool::inline()).build();
        let (cx, set) = (repository.context(), SetName::new("a").unwrap());
        let outcome = repository.backup(&cx, &Data, &BackupRequest::new(set.clone())).await.unwrap();
        let id = outcome.backup().id.clone();
        let backup = Arc::new(repository.open(&cx, &set, &id).await.unwrap());
        let key = backup.entries()[0].key.to_string();

        let handler = move |method: Method, headers: HeaderMap| async move {
            let download = Download::stored(&backup.entries()[0]).last_modified(backup.manifest().created_at);
            let open = async |range| backup.open_stored(&cx, &artifact(), range).await;
            match download.respond(&method, &headers, open).await {
                Ok(answer) => answer,
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.code().name).into_response(),
            }
        };
        let server = Server::bind(ServerConfig::new("127.0.0.1:0")).await.unwrap();
        let (address, shutdown) = (server.local_addr(), CancellationToken::new());
        tokio::spawn(server.run(Router::new().route("/", get(handler)), shutdown.clone(), Duration::ZERO));
        Self { store, key, address, _shutdown: shutdown.drop_guard() }
    }

    async fn ask(&self, http2: bool, method: Method, headers: &[(&str, &str)]) -> Response<Incoming> {
        let io = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let uri = if http2 { format!("http://{}/", self.address) } else { "/".into() };
        let mut request = Request::builder().method(method).uri(uri);
        if !http2 {
            request = request.header("host", "x");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        if http2 {
            let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        }
    }
}

/// What arrives before the body ends or breaks, and whether it ended well.
async fn read(mut answer: Response<Incoming>) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    while let Some(frame) = answer.body_mut().frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap_or_default()),
            Err(_) => return (bytes, false),
        }
    }
    (bytes, true)
}

#[tokio::test]
async fn a_backup_is_downloaded_whole_and_in_parts() {
    let (served, content) = (Served::start().await, content());
    for http2 in [false, true] {
        let answer = served.ask(http2, Method::GET, &[]).await;
        let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(answer.headers()["content-length"], SIZE.to_string().as_str());
        assert!(read(answer).await == (content.to_vec(), true), "http2: {http2}");

        let range = format!("bytes={}-", (4 << 20) - 5);
        let answer = served.ask(http2, Method::GET, &[("range", &range), ("if-range", &etag)]).await;
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
        assert!(read(answer).await == (content[(4 << 20) - 5..].to_vec(), true), "http2: {http2}");

        let answer = served.ask(http2, Method::HEAD, &[]).await;
        assert_eq!(answer.headers()["content-length"], SIZE.to_string().as_str());
        assert_eq!(answer.headers()["etag"], etag.as_str());
        assert_eq!(served.ask(http2, Method::GET, &[("if-none-match", &etag)]).await.status(), StatusCode::NOT_MODIFIED);
    }
}

#[tokio::test]
async fn a_flipped_bit_cuts_the_body_before_its_block() {
    let (served, content) = (Served::start().await, content());
    served.store.flip_bit(&served.key, SIZE as u64 - 1, 3);
    for http2 in [false, true] {
        let answer = served.ask(http2, Method::GET, &[]).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let (bytes, whole) = read(answer).await;
        assert!(!whole && bytes.len() <= 8 << 20 && content.starts_with(&bytes), "http2: {http2}, {} bytes", bytes.len());
        // The undamaged part is still to be had.
        let answer = served.ask(http2, Method::GET, &[("range", "bytes=0-4194303")]).await;
        assert!(read(answer).await == (content[..4 << 20].to_vec(), true), "http2: {http2}");
    }
}

#[tokio::test]
async fn damage_at_the_start_is_an_error_and_no_download() {
    let served = Served::start().await;
    served.store.flip_bit(&served.key, 0, 0);
    let answer = served.ask(false, Method::GET, &[]).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(read(answer).await.0, b"artifact.corrupt");
}
