//! Paths, parameters and header fields.

use super::*;

pub(super) fn requests() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "/files/../../etc/passwd",
        "/files/..",
        "/files/../",
        "/files/./good.txt",
        "/files//good.txt",
        "/files/good.txt/",
        "//files/good.txt",
        "/files/%2e%2e",
        "/files/%2e%2e/good.txt",
        "/files/%2e%2e%2fgood.txt",
        "/files/..%2Fgood.txt",
        "/files/..%5cgood.txt",
        "/files/%252e%252e",
        "/files/good.txt%00",
        "/files/%00",
        "/files/good.txt%0d%0aX: y",
        "/files/%ff%fe",
        "/files/%",
        "/files/%zz",
        "/..",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/files/\u{e9}",
        "files/good.txt",
        "*",
        "http://elsewhere/../files/x",
    ]
    .iter()
    .map(|path| get_of(path).into_bytes())
    .collect();
    all.push(get_of("/files/a\0b").into_bytes());
    all.push(get_of("/files/good.txt\u{1}").into_bytes());
    let megabyte = "a".repeat(1 << 20);
    all.push(get_of(&format!("/files/{megabyte}")).into_bytes());
    all.push(get_of(&format!("/?x={megabyte}")).into_bytes());
    all.push(get_of(&format!("/files/{}", "a".repeat(60_000))).into_bytes());
    all.push(with(&format!("x: {megabyte}\r\n")).into_bytes());
    all.push(with(&format!("{megabyte}: x\r\n")).into_bytes());
    all.push(with(&(0..3000).map(|n| format!("x{n}: y\r\n")).collect::<String>()).into_bytes());
    all.push(with(&"x: y\r\n".repeat(101)).into_bytes());
    all.push(with("host: y\r\n").into_bytes());
    all.push(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec());
    for authorization in ["Basic YTpi\r\nauthorization: Basic YTpi", "Basic YTp4", "Basic \u{ff}", "Bearer YTpi"] {
        all.push(
            format!("GET /secret HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {authorization}\r\n\r\n")
                .into_bytes(),
        );
    }
    all
}

#[tokio::test]
async fn a_path_or_field_that_nobody_needs_is_never_answered_with_content() {
    let served = serve().await;
    for request in requests() {
        served.refuses(&request).await;
    }
}

#[tokio::test]
async fn a_query_of_60_kb_is_no_reason_to_refuse() {
    let served = serve().await;
    let path = format!("/?x={}", "a".repeat(60_000));
    assert_eq!(served.statuses(get_of(&path).as_bytes()).await, [200]);
}
