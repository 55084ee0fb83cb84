//! How long is waited.

use std::time::Duration;

use super::site::Site;
use crate::openstack::ForwardOptions;

fn quick() -> ForwardOptions {
    ForwardOptions::default().answer_timeout(Duration::from_millis(300))
}

#[tokio::test]
async fn a_service_that_does_not_answer_in_time_is_504() {
    let site = Site::with(quick()).await;
    let mut client = site.client().await;
    client.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}").await;
    let mut service = site.accept().await;
    service.head().await;
    assert_eq!(client.head().await.0, "HTTP/1.1 504 Gateway Timeout");
    assert_eq!(client.until("}").await, "{\"message\":\"The volume service did not answer in time!\"}");
    // It is not asked for what nobody waits for.
    assert!(service.rest().await.is_none_or(|rest| rest == b"{}"));
}

#[tokio::test]
async fn the_time_for_an_answer_begins_when_the_body_is_sent() {
    let site = Site::with(ForwardOptions::default().answer_timeout(Duration::from_secs(3))).await;
    let mut client = site.client().await;
    client.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 8\r\n\r\n").await;
    let mut service = site.accept().await;
    service.head().await;
    let begun = std::time::Instant::now();
    for piece in ["ab", "cd", "ef", "gh"] {
        client.send(piece).await;
        assert_eq!(service.exactly(2).await, piece.as_bytes());
        tokio::time::sleep(Duration::from_millis(1000)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(3), "longer than the time for an answer");
    service.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.head().await.0, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn an_answer_that_does_not_go_on_is_cut() {
    let site = Site::with(quick()).await;
    let mut client = site.client().await;
    client.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut service = site.accept().await;
    service.head().await;
    service.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    assert_eq!(client.head().await.0, "HTTP/1.1 200 OK");
    let rest = client.rest().await.unwrap_or_default();
    assert!(rest.len() < 10, "{rest:?}");
}
