use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Extension;
use axum::http::Request;
use axum::routing::get;
use backup_core::Bytes;
use futures::stream;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;

struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

async fn run(router: Router, limits: Limits, grace: Duration) -> Running {
    let server = Server::bind(ServerConfig::new("127.0.0.1:0").limits(limits)).await.unwrap();
    let (address, shutdown) = (server.local_addr(), CancellationToken::new());
    let task = tokio::spawn(server.run(router, shutdown.clone(), grace));
    Running { address, shutdown, task }
}

async fn send(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// Waits for what has to end, and fails when it does not.
async fn ends<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it never ended")
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A cut connection may end in a reset; what came before is what counts.
    let _ = ends(stream.read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).into_owned()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const GET_CLOSE: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn short() -> Limits {
    // Long enough that a machine under load does not run into it by itself.
    let limit = Duration::from_secs(2);
    Limits { header_read_timeout: limit, idle_timeout: limit, write_stall: limit, body_read_timeout: limit, ..Limits::default() }
}

/// A handler that tells when it is called, and answers when it is told.
fn gated() -> (Router, mpsc::Receiver<()>, CancellationToken) {
    let (called, calls) = mpsc::channel(10);
    let go = CancellationToken::new();
    let handler = {
        let go = go.clone();
        move || async move {
            called.send(()).await.unwrap();
            go.cancelled().await;
            "done"
        }
    };
    (Router::new().route("/", get(handler)), calls, go)
}

#[tokio::test]
async fn a_request_knows_its_peer() {
    let router = Router::new().route("/", get(|Extension(peer): Extension<Peer>| async move { peer.address.to_string() }));
    let server = run(router, Limits::default(), Duration::ZERO).await;
    let stream = send(server.address, GET_CLOSE).await;
    let own = stream.local_addr().unwrap().to_string();
    assert!(rest(stream).await.ends_with(&own));
}

#[tokio::test]
async fn shutdown_lets_open_requests_end_and_accepts_no_more() {
    let (router, mut calls, go) = gated();
    let server = run(router, Limits::default(), Duration::from_secs(60)).await;
    let idle = send(server.address, "").await;
    let open = send(server.address, GET).await;
    ends(calls.recv()).await.unwrap();
    server.shutdown.cancel();
    assert_eq!(rest(idle).await, "", "an idle connection is closed at once");
    assert!(TcpStream::connect(server.address).await.is_err());
    go.cancel();
    assert!(rest(open).await.ends_with("done"));
    ends(server.task).await.unwrap();
}

#[tokio::test]
async fn what_is_open_after_the_grace_is_cut() {
    let (router, mut calls, _go) = gated();
    let server = run(router, Limits::default(), Duration::from_millis(50)).await;
    let open = send(server.address, GET).await;
    ends(calls.recv()).await.unwrap();
    server.shutdown.cancel();
    ends(server.task).await.unwrap();
    assert_eq!(rest(open).await, "");
}

#[tokio::test]
async fn one_connection_more_than_the_limit_waits_for_a_place() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let (router, mut calls, go) = gated();
    let server = run(router, limits, Duration::ZERO).await;
    let first = send(server.address, GET_CLOSE).await;
    ends(calls.recv()).await.unwrap();
    let second = send(server.address, GET_CLOSE).await;
    assert!(futures::poll!(Box::pin(calls.recv())).is_pending());
    go.cancel();
    assert!(rest(first).await.ends_with("done"));
    assert!(rest(second).await.ends_with("done"));
}

#[tokio::test]
async fn a_connection_without_a_request_ends_at_its_limit() {
    let server = run(Router::new().route("/", get(|| async { "x" })), short(), Duration::ZERO).await;
    for text in ["", "G", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", GET] {
        let stream = send(server.address, text).await;
        rest(stream).await;
    }
}

#[tokio::test]
async fn pings_do_not_keep_an_idle_http2_connection_open() {
    let server = run(Router::new().route("/", get(|| async { "x" })), short(), Duration::ZERO).await;
    let io = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    client.timer(TokioTimer::new()).keep_alive_interval(Duration::from_millis(20)).keep_alive_while_idle(true);
    let (mut sender, connection) = client.handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get("http://x/").body(Body::empty()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    // It ends only by the server: the sender is still here.
    let _ = ends(connection).await.unwrap();
    drop(sender);
}

#[tokio::test]
async fn a_handler_that_takes_long_is_not_an_idle_connection() {
    let (router, mut calls, go) = gated();
    let server = run(router, short(), Duration::ZERO).await;
    let stream = send(server.address, GET_CLOSE).await;
    ends(calls.recv()).await.unwrap();
    // Connections that idle, one after the other, are over meanwhile.
    for _ in 0..3 {
        rest(send(server.address, "").await).await;
    }
    go.cancel();
    assert!(rest(stream).await.ends_with("done"));
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_and_its_body_dropped() {
    let endless = || async { Body::from_stream(stream::repeat(Ok::<_, Infallible>(Bytes::from_static(&[0; 65_536])))) };
    // The grace is far longer than the test may take: the end of the run is the end of the stalled connection.
    let server = run(Router::new().route("/", get(endless)), short(), Duration::from_secs(600)).await;
    let mut stream = send(server.address, GET).await;
    stream.read_exact(&mut [0; 100]).await.unwrap();
    server.shutdown.cancel();
    ends(server.task).await.unwrap();
    drop(stream);
}

#[tokio::test]
async fn an_address_in_use_or_malformed_is_named() {
    let first = Server::bind(ServerConfig::new("127.0.0.1:0")).await.unwrap();
    let address = first.local_addr().to_string();
    let error = Server::bind(ServerConfig::new(address.clone())).await.unwrap_err();
    assert_eq!(error.code().name, "http.bind_failed");
    assert!(error.to_string().contains(&address), "{error}");
    assert_eq!(Server::bind(ServerConfig::default()).await.unwrap_err().code().name, "http.config_invalid");
}

#[test]
fn listen_is_one_address_or_a_list() {
    let read = |value| serde_json::from_value::<Listen>(value);
    assert_eq!(read(json!("[::1]:80")).unwrap(), Listen(vec!["[::1]:80".into()]));
    assert_eq!(read(json!(["a:1", "b:2"])).unwrap(), Listen(vec!["a:1".into(), "b:2".into()]));
    for bad in [json!("80"), json!("host"), json!(":80"), json!("h:99999"), json!([]), json!(80)] {
        assert!(read(bad.clone()).is_err(), "{bad}");
    }
}
