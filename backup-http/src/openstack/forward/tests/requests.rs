//! What arrives at the service.

use tokio::io::AsyncWriteExt;

use super::site::{PATH, Site, TOKEN};

const ANSWER: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_request_arrives_as_it_is_at_the_endpoint_of_the_catalogue() {
    let site = Site::start().await;
    let mut client = site.client().await;
    let body = "{\"os-extend\": {\"new_size\": 2 } }\n";
    client
        .send(format!(
            "POST /v1/volume/x/action?a=%2F..&b='&&c=%zz HTTP/1.1\r\nHost: backup:8110\r\nX-Auth-Token: {TOKEN}\r\n\
             Content-Type: application/json;charset=x\r\nOpenStack-API-Version: volume 3.59\r\nAccept: a/b\r\nAccept: c/d\r\n\
             Accept-Encoding: gzip, zstd\r\nX-Own: \u{e4} b  c\r\nUser-Agent: python-cinderclient\r\n\
             X-OpenStack-Request-ID: req-1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    let mut service = site.accept().await;
    let head = service.until("\r\n\r\n").await;
    let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), format!("POST /v3/p1{PATH}?a=%2F..&b='&&c=%zz HTTP/1.1"));
    lines.sort_unstable();
    let length = format!("content-length: {}", body.len());
    let (host, token) = (format!("host: {}", site.authority()), format!("x-auth-token: {TOKEN}"));
    let expected = [
        "accept-encoding: gzip, zstd",
        "accept: a/b",
        "accept: c/d",
        length.as_str(),
        "content-type: application/json;charset=x",
        host.as_str(),
        "openstack-api-version: volume 3.59",
        "user-agent: python-cinderclient",
        token.as_str(),
        "x-openstack-request-id: req-1",
        "x-own: \u{e4} b  c",
    ];
    assert_eq!(lines, expected);
    assert_eq!(service.exactly(body.len()).await, body.as_bytes());
    service.send(ANSWER).await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 202 Accepted\r\n"));
}

#[tokio::test]
async fn what_is_for_one_connection_and_what_says_who_calls_does_not_arrive() {
    let site = Site::start().await;
    let mut client = site.client().await;
    let dropped = [
        "Connection: keep-alive, X-Mine,content-length",
        "Connection: X-Also",
        "X-Mine: 1",
        "X-Also: 1",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eDp5",
        "TE: trailers",
        "Trailer: X-Sum",
        "Upgrade: websocket",
        "Expect: 100-continue",
        "X-Service-Token: theirs",
        "X_Service_Token: theirs",
        "X-Service-Roles: service",
        "X-Identity-Status: Confirmed",
        "X-Project-Id: p2",
        "X-Roles: admin",
        "X-Role: admin",
        "X-User-Id: u2",
        "X-Tenant-Id: p2",
        "X-Is-Admin-Project: true",
        "OpenStack-System-Scope: all",
        "X-Forwarded-For: 10.0.0.1",
        "X-Forwarded-Proto: https",
        "Forwarded: for=10.0.0.1",
        "X-Real-IP: 10.0.0.1",
        "Content_Length: 0",
        // The caller was found by the first one.
        "X-Auth-Token: another",
    ];
    client.send(format!("POST /x HTTP/1.1\r\nHost: h\r\nX-Auth-Token: {TOKEN}\r\nContent-Length: 2\r\n")).await;
    client.send(format!("{}\r\n\r\n{{}}", dropped.join("\r\n"))).await;
    let mut service = site.accept().await;
    let (_, mut lines) = service.head().await;
    lines.sort_unstable();
    assert_eq!(lines, ["content-length: 2", &format!("host: {}", site.authority()), &format!("x-auth-token: {TOKEN}")]);
    assert_eq!(service.exactly(2).await, b"{}");
}

#[tokio::test]
async fn a_chunked_body_arrives_piece_by_piece() {
    let site = Site::start().await;
    let mut client = site.client().await;
    client.send("PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    let mut service = site.accept().await;
    let (_, lines) = service.head().await;
    assert!(
        lines.contains(&"transfer-encoding: chunked".to_owned()) && !lines.iter().any(|line| line.starts_with("content-length"))
    );
    assert_eq!(service.until("abc\r\n").await, "3\r\nabc\r\n", "while the rest is still to come");
    client.send("4\r\ndefg\r\n0\r\n\r\n").await;
    assert_eq!(service.until("0\r\n\r\n").await, "4\r\ndefg\r\n0\r\n\r\n");
    service.send(ANSWER).await;
    client.until("\r\n\r\n").await;
}

#[tokio::test]
async fn a_request_without_a_body_has_none_there_and_an_empty_one_stays_empty() {
    let site = Site::start().await;
    for (method, given, arrives) in
        [("GET", "", None), ("DELETE", "", None), ("POST", "Content-Length: 0\r\n", Some("content-length: 0"))]
    {
        let mut client = site.client().await;
        client.send(format!("{method} /x HTTP/1.1\r\nHost: h\r\n{given}\r\n")).await;
        let mut service = site.accept().await;
        let (first, lines) = service.head().await;
        assert!(first.starts_with(&format!("{method} ")), "{first}");
        let length = lines.iter().find(|line| line.starts_with("content-length") || line.starts_with("transfer-encoding"));
        assert_eq!(length.map(String::as_str), arrives);
        service.send(ANSWER).await;
        client.until("\r\n\r\n").await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request_at_the_service() {
    let site = Site::start().await;
    let mut client = site.client().await;
    client.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc").await;
    let mut service = site.accept().await;
    service.head().await;
    assert_eq!(service.exactly(3).await, b"abc");
    client.0.shutdown().await.unwrap();
    drop(client);
    // Ends without the seven bytes that the service waits for.
    assert!(service.rest().await.is_none_or(|rest| rest.is_empty()));
}
