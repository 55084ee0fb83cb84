use super::*;

const BEFORE: &str = "Sat, 21 Nov 2026 04:59:59 GMT";
const AFTER: &str = "Saturday, 21-Nov-26 05:00:01 GMT";

#[tokio::test]
async fn a_get_carries_length_type_and_both_validators() {
    let answer = ask(Method::GET, &[]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.header("content-length"), Some("20"));
    assert_eq!(answer.header("content-type"), Some("application/gzip"));
    assert_eq!(answer.header("etag"), Some(etag().as_str()));
    assert_eq!(answer.header("last-modified"), Some(MODIFIED));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
    assert_eq!(answer.opened, [None]);
    assert_eq!(answer.body().await, CONTENT);
}

#[tokio::test]
async fn a_head_opens_nothing_and_says_what_a_get_would_say() {
    let answer = ask(Method::HEAD, &[("range", "bytes=0-3")]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.header("content-length"), Some("20"));
    assert_eq!(answer.header("etag"), Some(etag().as_str()));
    assert!(answer.opened.is_empty());
    assert!(answer.body().await.is_empty());
}

#[tokio::test]
async fn conditions_follow_the_order_of_the_rfc() {
    let tag = etag();
    let weak = format!("W/{tag}");
    let listed = format!("\"a,b\", {weak} , \"c\"");
    let listed_strong = format!("\"a\",{tag}");
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("if-none-match", &tag)], 304),
        (&[("if-none-match", &weak)], 304),
        (&[("if-none-match", &listed)], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"other\"")], 200),
        (&[("if-none-match", "\"other\""), ("if-none-match", &tag)], 304),
        (&[("if-none-match", "\"unterminated")], 200),
        // A tag that does not match switches the date off.
        (&[("if-none-match", "\"other\""), ("if-modified-since", AFTER)], 200),
        (&[("if-modified-since", MODIFIED)], 304),
        (&[("if-modified-since", AFTER)], 304),
        (&[("if-modified-since", BEFORE)], 200),
        (&[("if-modified-since", "yesterday")], 200),
        (&[("if-match", &tag)], 200),
        (&[("if-match", &listed_strong)], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", &weak)], 412),
        (&[("if-match", "\"other\"")], 412),
        (&[("if-match", "")], 412),
        (&[("if-match", "\"other\""), ("if-none-match", &tag)], 412),
        (&[("if-match", &tag), ("if-unmodified-since", BEFORE)], 200),
        (&[("if-unmodified-since", BEFORE)], 412),
        (&[("if-unmodified-since", MODIFIED)], 200),
        (&[("if-unmodified-since", "never")], 200),
    ];
    for (headers, status) in cases {
        for method in [Method::GET, Method::HEAD] {
            let answer = ask(method.clone(), headers).await;
            assert_eq!(answer.status().as_u16(), *status, "{method} {headers:?}");
            assert_eq!(answer.opened.len(), usize::from(*status == 200 && method == Method::GET), "{method} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_304_carries_the_validators_and_no_content() {
    let answer = ask(Method::GET, &[("if-none-match", "*")]).await;
    assert_eq!(answer.header("etag"), Some(etag().as_str()));
    assert_eq!(answer.header("last-modified"), Some(MODIFIED));
    assert_eq!(answer.header("content-type"), None);
    assert!(answer.body().await.is_empty());
}

#[tokio::test]
async fn if_range_with_another_validator_sends_everything() {
    let weak = format!("W/{}", etag());
    for (validator, status) in [
        (etag().as_str(), 206),
        (MODIFIED, 206),
        (weak.as_str(), 200),
        ("\"other\"", 200),
        (BEFORE, 200),
        (AFTER, 200),
        ("nonsense", 200),
    ] {
        let answer = ask(Method::GET, &[("range", "bytes=2-4"), ("if-range", validator)]).await;
        assert_eq!(answer.status().as_u16(), status, "{validator}");
    }
}
