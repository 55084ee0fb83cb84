//! A service that is read and written byte by byte, with a forwarder in front of it that is served for real.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use backup_core::testkit::note_secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::openstack::{Caller, Forward, ForwardOptions, Forwarder, Service};

pub(super) const TOKEN: &str = "the-callers-token";
pub(super) const PATH: &str = "/volumes/11111111-1111-1111-1111-111111111111/action";

/// Whoever waits for longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn caller(endpoint: &str) -> Caller {
    note_secret(TOKEN);
    let expires = "2099-01-01T00:00:00Z".parse().unwrap();
    Caller::new(TOKEN, "p1", "u1", expires).volume_endpoint(endpoint)
}

/// The services.
pub(super) struct Site {
    /// The one behind.
    pub(super) service: TcpListener,
    front: String,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    pub(super) async fn start() -> Self {
        Self::with(ForwardOptions::default()).await
    }

    pub(super) async fn with(options: ForwardOptions) -> Self {
        let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v3/p1/", service.local_addr().unwrap());
        let (front, task) = serve(Forwarder::new(options).unwrap(), caller(&endpoint)).await;
        Self { service, front, task }
    }

    /// A connection of a client.
    pub(super) async fn client(&self) -> Wire {
        Wire(TcpStream::connect(&self.front).await.unwrap())
    }

    /// The next connection that the service gets.
    pub(super) async fn accept(&self) -> Wire {
        Wire(timeout(PATIENCE, self.service.accept()).await.unwrap().unwrap().0)
    }

    pub(super) fn authority(&self) -> String {
        self.service.local_addr().unwrap().to_string()
    }
}

/// A server that passes on all it gets to [`PATH`].
pub(super) async fn serve(forwarder: Forwarder, caller: Caller) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap().to_string();
    let (forwarder, caller) = (Arc::new(forwarder), Arc::new(caller));
    let router = Router::new().fallback(move |request: Request| {
        let (forwarder, caller) = (Arc::clone(&forwarder), Arc::clone(&caller));
        async move { forwarder.forward(&caller, Service::Volume, PATH, request).await }
    });
    let task = tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let io = hyper_util::rt::TokioIo::new(stream);
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
            });
        }
    });
    (front, task)
}

/// A connection that is looked at byte by byte.
pub(super) struct Wire(pub(super) TcpStream);

impl Wire {
    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// As much as it takes until this is there.
    pub(super) async fn until(&mut self, end: &str) -> String {
        let mut got = Vec::new();
        while !got.ends_with(end.as_bytes()) {
            let byte = timeout(PATIENCE, self.0.read_u8()).await.unwrap();
            got.push(byte.unwrap_or_else(|error| panic!("{error} after {}", String::from_utf8_lossy(&got))));
        }
        String::from_utf8(got).unwrap()
    }

    /// A head, as its first line and its other lines in their order.
    pub(super) async fn head(&mut self) -> (String, Vec<String>) {
        let head = self.until("\r\n\r\n").await;
        let mut lines = head.trim_end().split("\r\n").map(str::to_owned);
        let first = lines.next().unwrap();
        (first, lines.map(|line| line.to_ascii_lowercase()).collect())
    }

    pub(super) async fn exactly(&mut self, bytes: usize) -> Vec<u8> {
        let mut got = vec![0; bytes];
        timeout(PATIENCE, self.0.read_exact(&mut got)).await.unwrap().unwrap();
        got
    }

    /// All that comes until the other side closes; nothing for a connection that breaks.
    pub(super) async fn rest(&mut self) -> Option<Vec<u8>> {
        let mut got = Vec::new();
        timeout(PATIENCE, self.0.read_to_end(&mut got)).await.unwrap().ok()?;
        Some(got)
    }
}
