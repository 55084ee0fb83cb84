//! What is sent.

use std::sync::Arc;

use backup_core::{Clock, Digest, JobContext};
use bytes::Bytes;
use http::{Method, Request};
use http_body::Body as _;

use super::site::Site;
use crate::http::pieces::Pieces;
use crate::http::unsettled;
use crate::testkit::{Reply, RequestFault, Which};
use crate::{Call, CallLimits, CallObserver, CallRecord, Repeat};

#[tokio::test]
async fn a_request_has_its_length_its_headers_and_its_pieces_in_one_body() {
    let site = Site::new().await;
    assert_eq!(site.put(Repeat::Always).await.unwrap().body(), "taken");
    let got = &site.server.got()[0];
    assert_eq!(got.body, "some pieces");
    assert_eq!(got.headers["content-length"], "11");
    assert!(!got.headers.contains_key("transfer-encoding") && !got.headers.contains_key("accept-encoding"));
    assert_eq!(got.headers["user-agent"], concat!("backup/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn an_empty_body_has_a_length_where_a_server_may_ask_for_it() {
    let site = Site::new().await;
    for (method, length) in [(Method::PUT, true), (Method::POST, true), (Method::GET, false), (Method::DELETE, false)] {
        let request = site.request(method.clone(), "/key", &[]);
        site.http.fetch(&site.cx, &Call::reading("Empty"), &request, 100).await.unwrap();
        let got = site.server.got().pop().unwrap();
        assert_eq!(got.headers.get("content-length").is_some_and(|length| length == "0"), length, "{method}");
        assert!(!got.headers.contains_key("transfer-encoding"), "{method}");
    }
}

#[tokio::test]
async fn a_repeated_request_has_the_same_bytes_and_its_answer_says_that_it_may_be_about_the_first() {
    let site = Site::new().await;
    assert!(!unsettled(&site.put(Repeat::Always).await.unwrap()));
    let rule = site.proxy.requests(Which::first(2), "PUT", "/key", RequestFault::LoseAnswer);
    assert!(unsettled(&site.put(Repeat::Always).await.unwrap()));
    assert_eq!((rule.hits(), site.server.got().len()), (2, 4));
    for seen in site.proxy.seen() {
        assert_eq!((seen.bytes, seen.digest), (Some(11), Some(Digest::of(b"some pieces"))));
    }
}

#[tokio::test]
async fn an_attempt_without_effect_does_not_settle_the_one_before_it() {
    let site = Site::new().await;
    site.proxy.requests(Which::next(), "PUT", "", RequestFault::LoseAnswer);
    site.proxy.requests(Which::nth(2), "PUT", "", RequestFault::Answer(Reply::status(429)));
    assert!(unsettled(&site.put(Repeat::Always).await.unwrap()));
    assert_eq!(site.proxy.seen().len(), 3);
}

#[tokio::test]
async fn an_answer_after_attempts_without_effect_is_settled() {
    let site = Site::new().await;
    site.proxy.requests(Which::next(), "PUT", "", RequestFault::Answer(Reply::status(429)));
    assert!(!unsettled(&site.put(Repeat::Always).await.unwrap()));
    assert_eq!(site.proxy.seen().len(), 2);
}

/// Cancels the job as soon as a call has ended.
#[derive(Debug)]
struct Cancel(JobContext);

impl CallObserver for Cancel {
    fn ended(&self, _: &CallRecord<'_>) {
        self.0.cancel_token().cancel();
    }
}

#[tokio::test]
async fn an_answer_that_is_there_is_not_lost_to_a_cancel_in_the_wait_for_its_bandwidth() {
    let limits = CallLimits { bytes_per_second: Some(1), ..CallLimits::default() };
    let site = Site::with(limits, |cx| Some(Arc::new(Cancel(cx.clone())))).await;
    assert_eq!(site.put(Repeat::Always).await.unwrap().body(), "taken");
    assert!(site.cx.check().is_err());
    assert_eq!(site.clock.monotonic(), std::time::Duration::ZERO, "somebody waited");
}

#[tokio::test]
async fn a_path_goes_out_as_it_was_written_or_not_at_all() {
    let site = Site::new().await;
    for path in ["/a%2Bb%20c/'()*!~.-_=&?x=%2F%20+&y", "/%E2%82%AC%22%7B%7D%5E%60%7C%5C%3C%3E"] {
        site.fetch(path).await.unwrap();
        assert_eq!(site.proxy.seen().pop().unwrap().target, path);
    }
    let before = site.proxy.seen().len();
    for path in ["/a/../b", "/a/%2e%2E/b", "/./b", "/a\"b"] {
        let error = site.fetch(path).await.unwrap_err();
        assert_eq!(error.code().name, "internal.error", "{path}: {error}");
    }
    assert_eq!(site.proxy.seen().len(), before);
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    let site = Site::new().await;
    for _ in 0..5 {
        site.put(Repeat::Always).await.unwrap();
        site.fetch("/1000").await.unwrap();
    }
    assert_eq!(site.proxy.accepted(), 1);
}

#[tokio::test]
async fn pieces_are_handed_out_where_they_lie_and_count_down() {
    let pieces = [Bytes::from(vec![1; 4 << 20]), Bytes::new(), Bytes::from(vec![2; 100])];
    let mut body = Pieces::new(&pieces);
    assert_eq!(body.size_hint().exact(), Some((4 << 20) + 100));
    let mut next = async || std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await;
    for piece in [&pieces[0], &pieces[2]] {
        let data = next().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((data.as_ptr(), data.len()), (piece.as_ptr(), piece.len()));
    }
    assert!(next().await.is_none());
    assert!(body.is_end_stream() && body.size_hint().exact() == Some(0));
}

/// The test runs itself with a proxy in its environment, which only a fresh process reads.
#[tokio::test]
async fn no_proxy_is_taken_from_the_environment() {
    const CHILD: &str = "BACKUP_TEST_HAS_PROXY";
    let site = Site::new().await;
    if std::env::var_os(CHILD).is_some() {
        let elsewhere =
            Request::get(format!("{}/3", site.proxy.url().replace("127.0.0.1", "localhost"))).body(Vec::new()).unwrap();
        assert_eq!(site.http.fetch(&site.cx, &Call::reading("Get"), &elsewhere, 9).await.unwrap().body(), "aaa");
        return;
    }
    let dead = format!("http://127.0.0.1:{}", backup_core::testkit::free_port());
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "http::tests::requests::no_proxy_is_taken_from_the_environment"]).env(CHILD, "1");
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, &dead);
    }
    let ended = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
}
