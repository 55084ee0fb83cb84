use super::*;

#[tokio::test]
async fn one_range_is_answered_with_exactly_its_bytes() {
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=0-", 0..20),
        ("bytes=5-9", 5..10),
        ("BYTES=5-9", 5..10),
        ("bytes= 5-9 ,", 5..10),
        ("bytes=19-", 19..20),
        ("bytes=10-1000", 10..20),
        ("bytes=10-99999999999999999999999999", 10..20),
        ("bytes=-4", 16..20),
        ("bytes=-1000", 0..20),
        ("bytes=-99999999999999999999999999", 0..20),
    ] {
        let answer = ask(Method::GET, &[("range", range)]).await;
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let content_range = format!("bytes {}-{}/20", expected.start, expected.end - 1);
        assert_eq!(answer.header("content-range"), Some(content_range.as_str()));
        assert_eq!(answer.header("content-length"), Some((expected.end - expected.start).to_string().as_str()));
        assert_eq!(answer.header("etag"), Some(etag().as_str()));
        assert_eq!(answer.opened, [Some(expected.start as u64..expected.end as u64)]);
        assert_eq!(answer.body().await, &CONTENT[expected], "{range}");
    }
}

#[tokio::test]
async fn a_range_behind_the_end_is_416_with_the_size_and_opens_nothing() {
    for range in ["bytes=20-", "bytes=20-25", "bytes=99999999999999999999999999-", "bytes=-0"] {
        let answer = ask(Method::GET, &[("range", range)]).await;
        assert_eq!(answer.status(), StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(answer.header("content-range"), Some("bytes */20"));
        assert_eq!(answer.header("content-length"), Some("0"));
        assert!(answer.opened.is_empty());
        assert!(answer.body().await.is_empty());
    }
}

#[tokio::test]
async fn what_is_no_single_well_formed_range_is_answered_in_full() {
    let many = format!("bytes={}", "0-1,".repeat(1000));
    for range in [
        "bytes=0-1,3-4",
        many.as_str(),
        "bytes=5-3",
        "bytes=",
        "bytes=-",
        "bytes",
        "bytes=a-b",
        "bytes=+1-2",
        "bytes=1--2",
        "rows=0-1",
        "",
    ] {
        let answer = ask(Method::GET, &[("range", range)]).await;
        assert_eq!(answer.status(), StatusCode::OK, "{range}");
        assert_eq!(answer.header("content-range"), None);
        assert_eq!(answer.body().await, CONTENT);
    }
    let twice = ask(Method::GET, &[("range", "bytes=0-1"), ("range", "bytes=3-4")]).await;
    assert_eq!(twice.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_empty_artifact_has_no_satisfiable_first_byte() {
    let empty = || Download::new(0, &Digest::of(b""));
    for (range, status) in [("bytes=0-", 416), ("bytes=-5", 200), ("bytes=x", 200)] {
        let answer = ask_of(empty(), b"", Method::GET, &[("range", range)]).await;
        assert_eq!(answer.status().as_u16(), status, "{range}");
        assert!(answer.body().await.is_empty());
    }
}
