//! A real server and a client that hides nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::testkit::FaultyProxy;

/// Answers `GET /n` with n bytes of `a`, `GET /chunked/n` with the same in two chunks, and takes everything else; remembers what it got.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) got: Arc<Mutex<Vec<(String, Bytes)>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start() -> Self {
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

    pub(super) async fn proxied() -> (Self, FaultyProxy) {
        let server = Self::start().await;
        let proxy = FaultyProxy::http(&format!("http://{}", server.address)).await;
        (server, proxy)
    }

    pub(super) fn got(&self) -> Vec<(String, Bytes)> {
        self.got.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(request: Request<Body>, got: Arc<Mutex<Vec<(String, Bytes)>>>) -> Response {
    let what = format!("{} {}", request.method(), request.uri());
    let path = request.uri().path().to_owned();
    let Ok(body) = axum::body::to_bytes(request.into_body(), usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    got.lock().unwrap().push((what, body));
    let number = |text: &str| text.parse::<usize>().ok();
    if let Some(bytes) = path.strip_prefix("/chunked/").and_then(number) {
        let half = Bytes::from(vec![b'a'; bytes / 2]);
        let parts = [half.clone(), half].map(Ok::<_, std::convert::Infallible>);
        return Body::from_stream(futures::stream::iter(parts)).into_response();
    }
    number(path.trim_start_matches('/')).map_or_else(|| "taken".into_response(), |bytes| vec![b'a'; bytes].into_response())
}

pub(super) struct Client(pub(super) TcpStream);

/// How a connection ended, with what came before.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Closed(String),
    Reset(String),
}

impl Client {
    pub(super) async fn connect(proxy: &FaultyProxy) -> Self {
        Self(TcpStream::connect(proxy.address()).await.unwrap())
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until what came ends so.
    pub(super) async fn until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let byte = self.0.read_u8().await.unwrap_or_else(|error| panic!("{error} after {text}"));
            text.push(char::from(byte));
        }
        text
    }

    pub(super) async fn rest(mut self) -> Ended {
        let mut bytes = Vec::new();
        let end = self.0.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        match end {
            Ok(_) => Ended::Closed(text),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
                Ended::Reset(text)
            }
        }
    }

    /// Sends a request on a connection of its own and reads to the end of the connection.
    pub(super) async fn once(proxy: &FaultyProxy, request: &str) -> Ended {
        let mut client = Self::connect(proxy).await;
        client.send(request).await;
        client.rest().await
    }
}

pub(super) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

pub(super) fn put(path: &str, body: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

impl Ended {
    /// What came behind the head.
    pub(super) fn body(&self) -> &str {
        let (Self::Closed(text) | Self::Reset(text)) = self;
        text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}
