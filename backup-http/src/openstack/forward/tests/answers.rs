//! What comes back to the client.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::site::{Site, Wire, caller, serve};
use crate::openstack::{ForwardOptions, Forwarder};

const GET: &str = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

async fn answered(answer: &str) -> (Site, Wire) {
    let site = Site::start().await;
    let mut client = site.client().await;
    client.send(GET).await;
    let mut service = site.accept().await;
    service.head().await;
    service.send(answer).await;
    service.0.shutdown().await.unwrap();
    (site, client)
}

#[tokio::test]
async fn status_headers_and_body_come_back_as_they_are() {
    let body = "not even JSON \u{e4}";
    let answer = format!(
        "HTTP/1.1 413 Over Limit\r\nContent-Type: text/odd\r\nContent-Encoding: gzip\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nx-compute-request-id: req-2\r\nx-openstack-request-id: req-2\r\n\
         OpenStack-API-Version: volume 3.0\r\nVary: OpenStack-API-Version\r\nRetry-After: 7\r\nLocation: http://elsewhere/\r\n\
         Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (_site, mut client) = answered(&answer).await;
    let (first, mut lines) = client.head().await;
    assert_eq!(first, "HTTP/1.1 413 Over Limit");
    lines.sort_unstable();
    let length = format!("content-length: {}", body.len());
    let expected = [
        "content-encoding: gzip",
        length.as_str(),
        "content-type: text/odd",
        "date: thu, 01 jan 1970 00:00:00 gmt",
        "location: http://elsewhere/",
        "openstack-api-version: volume 3.0",
        "retry-after: 7",
        "set-cookie: a=1",
        "set-cookie: b=2",
        "vary: openstack-api-version",
        "x-compute-request-id: req-2",
        "x-openstack-request-id: req-2",
    ];
    assert_eq!(lines, expected);
    assert_eq!(client.exactly(body.len()).await, body.as_bytes());
}

#[tokio::test]
async fn redirects_and_failures_are_answers_and_nothing_is_asked_twice() {
    for status in ["300 Multiple Choices", "302 Found", "401 Unauthorized", "429 Too Many", "500 Oh", "503 Busy", "504 Late"] {
        let site = Site::start().await;
        let mut client = site.client().await;
        client.send(GET).await;
        let mut service = site.accept().await;
        service.head().await;
        service.send(format!("HTTP/1.1 {status}\r\nLocation: http://{}/\r\nContent-Length: 1\r\n\r\nx", site.authority())).await;
        let (first, _) = client.head().await;
        assert_eq!(first, format!("HTTP/1.1 {status}"));
        assert_eq!(client.exactly(1).await, b"x");
        // A second request is the only one to come.
        client.send(GET.replace("/x", "/x?second")).await;
        let (first, _) = site.accept().await.head().await;
        assert!(first.contains("?second"), "{first}");
    }
}

#[tokio::test]
async fn an_answer_to_head_keeps_its_length_and_one_without_content_has_none() {
    let site = Site::start().await;
    let mut client = site.client().await;
    client.send(GET.replace("GET", "HEAD")).await;
    let mut service = site.accept().await;
    service.head().await;
    service.send("HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n").await;
    let (_, lines) = client.head().await;
    assert!(lines.contains(&"content-length: 77".to_owned()), "{lines:?}");
    client.send(GET.replace("GET", "DELETE")).await;
    let mut service = site.accept().await;
    service.head().await;
    service.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    let (first, lines) = client.head().await;
    assert_eq!(first, "HTTP/1.1 204 No Content");
    assert!(!lines.iter().any(|line| line.contains("length") || line.contains("encoding")), "{lines:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_end_well() {
    for answer in
        ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]
    {
        let (_site, mut client) = answered(answer).await;
        let (first, _) = client.head().await;
        assert_eq!(first, "HTTP/1.1 200 OK");
        let rest = client.rest().await.unwrap_or_default();
        assert!(!rest.ends_with(b"0\r\n\r\n") && rest.len() < 10, "{rest:?}");
    }
}

#[tokio::test]
async fn a_service_that_breaks_off_before_its_answer_or_speaks_something_else_is_502() {
    for answer in ["", "HTTP/1.1 200", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"] {
        let (_site, mut client) = answered(answer).await;
        let (first, lines) = client.head().await;
        assert_eq!(first, "HTTP/1.1 502 Bad Gateway", "{answer}");
        assert!(lines.contains(&"content-type: application/json".to_owned()));
        assert_eq!(client.until("}").await, "{\"message\":\"The volume service cannot be reached!\"}");
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_502_and_one_that_the_catalogue_does_not_have_503() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/v3", listener.local_addr().unwrap());
    drop(listener);
    let mut none = caller("");
    none.volume_endpoint = None;
    for (caller, status) in [
        (caller(&nobody), "502 Bad Gateway"),
        (none, "503 Service Unavailable"),
        (caller("ftp://127.0.0.1/v3"), "502 Bad Gateway"),
        (caller("http://user:password@127.0.0.1/v3"), "502 Bad Gateway"),
        (caller("/v3"), "502 Bad Gateway"),
    ] {
        let (front, task) = serve(Forwarder::new(ForwardOptions::default()).unwrap(), caller).await;
        let mut client = Wire(tokio::net::TcpStream::connect(front).await.unwrap());
        client.send(GET).await;
        assert_eq!(client.head().await.0, format!("HTTP/1.1 {status}"));
        let said = client.until("}").await;
        assert!(said.starts_with("{\"message\":\"") && !said.contains("127.0.0.1"), "{said}");
        task.abort();
    }
}

#[tokio::test]
async fn a_long_answer_is_passed_on_at_the_pace_of_its_reader() {
    let site = Site::start().await;
    let mut client = site.client().await;
    client.send(GET).await;
    let mut service = site.accept().await;
    service.head().await;
    const PIECE: usize = 64 << 10;
    const PIECES: usize = 1024;
    service.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", PIECE * PIECES)).await;
    // Nobody reads: what the kernel and the forwarder hold fills up, and the service cannot go on.
    let piece = vec![b'x'; PIECE];
    let mut sent = 0;
    while let Ok(written) = tokio::time::timeout(std::time::Duration::from_secs(2), service.0.write(&piece)).await {
        sent += written.unwrap();
        assert!(sent < PIECE * PIECES, "all of it was taken though nobody reads it");
    }
    let reader = async {
        assert_eq!(client.head().await.0, "HTTP/1.1 200 OK");
        client.exactly(PIECE * PIECES).await
    };
    let left = vec![b'x'; PIECE * PIECES - sent];
    let (read, written) = tokio::join!(reader, service.0.write_all(&left));
    written.unwrap();
    assert!(read.iter().all(|byte| *byte == b'x'));
}
