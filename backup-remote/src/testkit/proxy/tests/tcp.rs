//! What happens to connections, whatever they carry.

use std::io::ErrorKind;

use tokio::net::TcpStream;

use super::client::{Client, Ended, get, put};
use crate::test_server::Server;
use crate::testkit::{ConnectionFault, Ending, FaultyProxy, Gate, Harm, RequestFault, Which};

#[tokio::test]
async fn the_chosen_connections_are_reset_and_the_next_one_passes() {
    let (_server, proxy) = Server::proxied().await;
    let rule = proxy.connections(Which::first(2), ConnectionFault::Reset);
    for _ in 0..2 {
        let mut client = Client::connect(&proxy).await;
        let error = tokio::io::AsyncReadExt::read_u8(&mut client.0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(Client::once(&proxy, &get("/3")).await.body(), "aaa");
    assert_eq!((rule.hits(), proxy.accepted()), (2, 3));
}

#[tokio::test]
async fn a_proxy_that_is_down_refuses_and_ends_what_was_open_and_comes_back_on_its_port() {
    let (_server, proxy) = Server::proxied().await;
    let mut open = Client::connect(&proxy).await;
    open.send(&put("/key", "abc")).await;
    open.until("taken").await;
    proxy.down().await;
    assert_eq!(TcpStream::connect(proxy.address()).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(open.rest().await, Ended::Closed(String::new()));
    proxy.down().await;
    proxy.up().await;
    assert_eq!(Client::once(&proxy, &get("/3")).await.body(), "aaa");
}

#[tokio::test]
async fn a_server_that_is_not_there_looks_like_a_reset() {
    let port = backup_core::testkit::free_port();
    for proxy in [FaultyProxy::http(&format!("127.0.0.1:{port}")).await, FaultyProxy::tcp(&format!("127.0.0.1:{port}")).await] {
        let mut client = Client::connect(&proxy).await;
        client.send(&get("/3")).await;
        assert_eq!(client.rest().await, Ended::Reset(String::new()));
    }
}

#[tokio::test]
async fn bytes_are_cut_flipped_and_held_in_the_direction_asked_for() {
    let server = Server::start().await;
    let proxy = FaultyProxy::tcp(&server.address.to_string()).await;
    assert_eq!(Client::once(&proxy, &get("/10")).await.body(), "aaaaaaaaaa");

    let rule = proxy.connections(Which::next(), ConnectionFault::ToClient(Harm::Cut { after: 12, ending: Ending::Close }));
    assert_eq!(Client::once(&proxy, &get("/10")).await, Ended::Closed("HTTP/1.1 200".to_owned()));
    assert_eq!(rule.hits(), 1);

    proxy.connections(Which::next(), ConnectionFault::ToServer(Harm::Flip(b"marker".to_vec())));
    let mut client = Client::connect(&proxy).await;
    client.send(&put("/key", "the marker is flipped")).await;
    client.until("taken").await;
    assert_eq!(server.got().last().unwrap().body, "the larker is flipped");

    let gate = Gate::default();
    proxy.connections(Which::next(), ConnectionFault::ToClient(Harm::Hold { after: 8, gate: gate.clone() }));
    let mut client = Client::connect(&proxy).await;
    client.send(&get("/10")).await;
    client.until("HTTP/1.1").await;
    gate.reached().await;
    gate.open();
    assert!(matches!(client.rest().await, Ended::Closed(rest) if rest.ends_with("aaaaaaaaaa")));
}

#[tokio::test]
async fn a_black_hole_accepts_and_says_nothing() {
    let (server, proxy) = Server::proxied().await;
    let rule = proxy.connections(Which::next(), ConnectionFault::BlackHole);
    let mut client = Client::connect(&proxy).await;
    client.send(&get("/3")).await;
    rule.hit(1).await;
    assert_eq!(client.0.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(server.got().is_empty() && proxy.seen().is_empty());
}

#[tokio::test]
async fn cleared_rules_do_nothing_any_more() {
    let (_server, proxy) = Server::proxied().await;
    proxy.connections(Which::all(), ConnectionFault::Reset);
    proxy.requests(Which::after(0), "", "", RequestFault::Reset);
    proxy.clear();
    assert_eq!(Client::once(&proxy, &get("/3")).await.body(), "aaa");
}
