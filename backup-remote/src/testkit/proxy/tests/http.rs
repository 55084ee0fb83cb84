//! What happens to requests.

use std::time::Duration;

use backup_core::Digest;

use super::client::{Client, Ended, get, put};
use crate::test_server::Server;
use crate::testkit::{Ending, Gate, Harm, Reply, RequestFault, Which};

#[tokio::test]
async fn without_rules_everything_passes_on_one_connection_and_is_counted() {
    let (server, proxy) = Server::proxied().await;
    let mut client = Client::connect(&proxy).await;
    for body in ["one", "", "three"] {
        client.send(&put("/key?part=1", body)).await;
        let answer = client.until("taken").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    client
        .send("PUT /chunks HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
        .await;
    client.until("taken").await;
    client.send("HEAD /100 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(client.until("\r\n\r\n").await.contains("content-length: 100"));
    client.send(&get("/chunked/10")).await;
    let answer = client.rest().await;
    assert!(matches!(&answer, Ended::Closed(_)) && answer.body().contains("5\r\naaaaa\r\n"), "{answer:?}");

    let seen = proxy.seen();
    assert_eq!(seen.iter().map(|seen| seen.bytes.unwrap()).collect::<Vec<_>>(), [3, 0, 5, 5, 0, 0]);
    assert_eq!(seen[3].digest, Some(Digest::of(b"abcde")));
    assert_eq!(server.got()[3].body, "abcde");
    assert!(seen.iter().all(|seen| seen.passed_on && !seen.chosen && seen.status == Some(200)));
    assert_eq!((proxy.accepted(), proxy.count("PUT", "part=1"), proxy.count("", "")), (1, 3, 6));
}

#[tokio::test]
async fn the_chosen_request_is_answered_in_the_servers_place_and_only_that() {
    let (server, proxy) = Server::proxied().await;
    let reply = Reply::status(503).retry_after(7).body("slow down");
    let rule = proxy.requests(Which::nth(2), "PUT", "/key", RequestFault::Answer(reply));
    let mut client = Client::connect(&proxy).await;
    client.send(&put("/other", "0")).await;
    client.until("taken").await;
    client.send(&put("/key", "1")).await;
    client.until("taken").await;
    client.send(&put("/key", "2")).await;
    let answer = client.until("slow down").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 7\r\n"), "{answer}");
    client.send(&put("/key", "3")).await;
    client.until("taken").await;
    let bodies: Vec<_> = server.got().into_iter().map(|got| got.body).collect();
    assert_eq!(bodies, ["0", "1", "3"]);
    assert_eq!(rule.hits(), 1);
    let seen = &proxy.seen()[2];
    assert_eq!((seen.status, seen.passed_on, seen.digest), (Some(503), false, Some(Digest::of(b"2"))));
}

#[tokio::test]
async fn an_early_answer_comes_before_the_body_and_ends_the_connection() {
    let (server, proxy) = Server::proxied().await;
    proxy.requests(Which::next(), "PUT", "", RequestFault::Answer(Reply::status(503).early()));
    let mut client = Client::connect(&proxy).await;
    client.send("PUT /key HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nonly the start").await;
    let Ended::Closed(answer) = client.rest().await else { panic!("the connection was reset") };
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn who_waits_for_leave_to_send_gets_it_from_the_server() {
    let (server, proxy) = Server::proxied().await;
    let mut client = Client::connect(&proxy).await;
    client.send("PUT /key HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n").await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 100"));
    client.send("abc").await;
    client.until("taken").await;
    assert_eq!(server.got()[0].body, "abc");
}

#[tokio::test]
async fn a_lost_answer_leaves_the_effect_at_the_server_and_the_client_in_the_dark() {
    let (server, proxy) = Server::proxied().await;
    let rule = proxy.requests(Which::next(), "PUT", "", RequestFault::LoseAnswer);
    assert_eq!(Client::once(&proxy, &put("/key", "abc")).await, Ended::Reset(String::new()));
    assert_eq!(server.got()[0].body, "abc");
    assert_eq!((rule.hits(), proxy.seen()[0].status), (1, Some(200)));
}

#[tokio::test]
async fn a_reset_request_does_not_reach_the_server() {
    let (server, proxy) = Server::proxied().await;
    proxy.requests(Which::next(), "", "", RequestFault::Reset);
    assert_eq!(Client::once(&proxy, &put("/key", "abc")).await, Ended::Reset(String::new()));
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn an_answer_is_cut_at_the_byte_in_the_way_that_was_asked_for() {
    let (_server, proxy) = Server::proxied().await;
    for (path, after) in [("/1000", 0), ("/1000", 300), ("/1000", 1000), ("/chunked/1000", 300)] {
        for ending in [Ending::Close, Ending::Reset] {
            let rule = proxy.requests(Which::next(), "GET", path, RequestFault::AnswerBody(Harm::Cut { after, ending }));
            let ended = Client::once(&proxy, &get(path)).await;
            assert_eq!(matches!(ended, Ended::Reset(_)), ending == Ending::Reset, "{path} {after}");
            assert_eq!(ended.body().bytes().filter(|byte| *byte == b'a').count() as u64, after, "{path} {ending:?}");
            assert!(!ended.body().contains("0\r\n\r\n"));
            assert_eq!(rule.hits(), 1);
        }
    }
}

#[tokio::test]
async fn a_request_is_cut_at_the_byte_and_the_server_never_gets_it_whole() {
    let (server, proxy) = Server::proxied().await;
    let harm = Harm::Cut { after: 2, ending: Ending::Reset };
    proxy.requests(Which::next(), "PUT", "", RequestFault::RequestBody(harm));
    assert_eq!(Client::once(&proxy, &put("/key", "abcd")).await, Ended::Reset(String::new()));
    let seen = &proxy.seen()[0];
    assert!(seen.passed_on && seen.bytes.is_none(), "{seen:?}");
    assert!(server.got().is_empty());
}

#[tokio::test]
async fn a_wrong_length_is_in_the_head_alone() {
    let (_server, proxy) = Server::proxied().await;
    for (by, told) in [(5, "content-length: 15"), (-3, "content-length: 7")] {
        proxy.requests(Which::next(), "", "", RequestFault::WrongLength(by));
        let Ended::Closed(answer) = Client::once(&proxy, &get("/10")).await else { panic!("the connection was reset") };
        assert!(answer.contains(told) && answer.ends_with("\r\n\r\naaaaaaaaaa"), "{answer}");
    }
}

#[tokio::test]
async fn one_bit_of_one_byte_is_flipped_in_either_direction() {
    let (server, proxy) = Server::proxied().await;
    proxy.requests(Which::next(), "GET", "", RequestFault::AnswerBody(Harm::FlipAt(7)));
    assert_eq!(Client::once(&proxy, &get("/10")).await.body(), "aaaaaaa`aa");
    let mut client = Client::connect(&proxy).await;
    proxy.requests(Which::next(), "PUT", "", RequestFault::RequestBody(Harm::FlipAt(0)));
    client.send(&put("/key", "abc")).await;
    client.until("taken").await;
    assert_eq!(server.got()[1].body, "`bc");
    assert_eq!(proxy.seen()[1].digest, Some(Digest::of(b"abc")), "the log has what the client sent");
}

#[tokio::test]
async fn slow_and_delayed_bodies_arrive_whole() {
    let (_server, proxy) = Server::proxied().await;
    let slow = Harm::Slow { piece: 100, pause: Duration::from_millis(1) };
    let rule = proxy.requests(Which::next(), "", "", RequestFault::AnswerBody(slow));
    assert_eq!(Client::once(&proxy, &get("/1000")).await.body().len(), 1000);
    assert!(rule.hits() >= 10);
    let rule = proxy.requests(Which::next(), "", "", RequestFault::Delay(Duration::from_millis(1)));
    assert_eq!(Client::once(&proxy, &get("/1000")).await.body().len(), 1000);
    assert_eq!(rule.hits(), 1);
}

#[tokio::test]
async fn what_is_held_passes_when_the_gate_opens_and_not_before() {
    let (server, proxy) = Server::proxied().await;
    let gate = Gate::default();
    let rule = proxy.requests(Which::next(), "GET", "", RequestFault::Hold(gate.clone()));
    let client = tokio::spawn({
        let mut client = Client::connect(&proxy).await;
        async move {
            client.send(&get("/10")).await;
            client.rest().await
        }
    });
    gate.reached().await;
    assert!(server.got().is_empty() && !proxy.seen()[0].passed_on);
    gate.open();
    assert_eq!(client.await.unwrap().body(), "aaaaaaaaaa");
    rule.hit(1).await;

    let gate = Gate::default();
    proxy.requests(Which::next(), "GET", "", RequestFault::AnswerBody(Harm::Hold { after: 4, gate: gate.clone() }));
    let mut client = Client::connect(&proxy).await;
    client.send(&get("/10")).await;
    client.until("\r\n\r\naaaa").await;
    gate.reached().await;
    gate.open();
    assert_eq!(client.rest().await, Ended::Closed("aaaaaa".to_owned()));
}

#[tokio::test]
async fn a_black_hole_takes_the_request_and_gives_nothing() {
    let (server, proxy) = Server::proxied().await;
    proxy.requests(Which::next(), "", "", RequestFault::BlackHole);
    let mut client = Client::connect(&proxy).await;
    client.send(&put("/key", "abc")).await;
    proxy.wait_for(|seen| seen.len() == 1).await;
    assert_eq!(client.0.try_read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    proxy.down().await;
    assert!(server.got().is_empty());
}
