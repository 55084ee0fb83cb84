//! Where a request ends: shapes that a proxy and a server may read differently.

use super::*;

fn post(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n\r\n{body}").into_bytes()
}

pub(super) fn requests() -> Vec<Vec<u8>> {
    let chunked = |body: &str| post("transfer-encoding: chunked", body);
    let long_extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(1 << 20));
    let mut all = vec![
        post("content-length: 3\r\ncontent-length: 4", "abcd"),
        post("content-length: 3, 4", "abcd"),
        post("content-length: -1", "abcd"),
        post("content-length: +4", "abcd"),
        post("content-length: 0x4", "abcd"),
        post("content-length: 99999999999999999999999", "abcd"),
        post("content-length: 9223372036854775807", "abcd"),
        post("content-length: 18446744073709551615", "abcd"),
        post("content-length: 10001", "abcd"),
        post("content-length:", "abcd"),
        post("content-length : 4", "abcd"),
        post("transfer-encoding : chunked", "0\r\n\r\n"),
        post("transfer-encoding: xchunked", "0\r\n\r\n"),
        post("transfer-encoding: chunked, identity", "0\r\n\r\n"),
        post("transfer-encoding: identity", "abcd"),
        post("transfer-encoding: chunked\r\ntransfer-encoding: identity", "0\r\n\r\n"),
        post("transfer-encoding:\u{b}chunked", "0\r\n\r\n"),
        chunked("ZZ\r\nx\r\n0\r\n\r\n"),
        chunked("-1\r\nx\r\n0\r\n\r\n"),
        chunked("ffffffffffffffffffff\r\nx\r\n0\r\n\r\n"),
        chunked("ffffffffffffffff\r\nx"),
        chunked("1\r\nxy0\r\n\r\n"),
        chunked("1\nx\n0\n\n"),
        chunked(" 1\r\nx\r\n0\r\n\r\n\u{0}"),
        chunked("5\r\nab"),
        chunked(&"2711\r\n".repeat(2)),
        chunked(&long_extension),
        chunked(&format!("2710\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", "a".repeat(10_000))),
        with("x: a\r\n b\r\n").into_bytes(),
        with(" x: a\r\n").into_bytes(),
        with("x: a\rb\r\n").into_bytes(),
        with("x: a\0b\r\n").into_bytes(),
        with(": a\r\n").into_bytes(),
        with("no colon\r\n").into_bytes(),
        with("transfer-encoding\u{0}: chunked\r\n").into_bytes(),
        b"GET / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
        b"GET /\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n".to_vec(),
        b"GET / HTTP/2.0\r\nhost: x\r\n\r\n".to_vec(),
        b"GET  / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"G\0T / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"BREW / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage that is no frame at all, long enough to be read as one".to_vec(),
        vec![0; 65_536],
        vec![b'\n'; 65_536],
        vec![0xff; 200_000],
    ];
    let mut noise = 1_u32;
    let mut random = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    };
    all.extend((0..20).map(|_| (0..2000).map(|_| random()).collect()));
    all
}

#[tokio::test]
async fn a_request_whose_end_is_unclear_is_refused() {
    let served = serve().await;
    for request in requests() {
        served.refuses(&request).await;
    }
}

#[tokio::test]
async fn nothing_behind_a_request_with_two_lengths_is_taken_for_a_request() {
    let served = serve().await;
    let hidden = "GET /secret HTTP/1.1\r\nhost: x\r\nx: ";
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\ncontent-length: 0",
    ] {
        let request = format!("POST /echo HTTP/1.1\r\nhost: x\r\n{lengths}\r\n\r\n0\r\n\r\n{hidden}\r\n\r\n");
        let statuses = served.statuses(request.as_bytes()).await;
        assert!(statuses.len() <= 1, "{lengths}: {statuses:?}");
        served.is_well().await;
    }
}

#[tokio::test]
async fn bare_line_feeds_never_make_two_requests_of_one() {
    let served = serve().await;
    // RFC 9112 section 2.2 lets a recipient take a bare LF for a line's end; what matters is that nothing is smuggled by it.
    let request = "GET / HTTP/1.1\nhost: x\nconnection: close\n\nGET /secret HTTP/1.1\nhost: x\n\n";
    assert!(served.statuses(request.as_bytes()).await.len() <= 1);
    served.is_well().await;
}

#[tokio::test]
async fn a_chunked_body_within_the_limits_is_taken() {
    let served = serve().await;
    let answer = served.send(&post("transfer-encoding: chunked", "4\r\nabcd\r\n0\r\n\r\n")).await;
    assert!(answer.ends_with(b"abcd"), "{}", shown(&answer));
}
