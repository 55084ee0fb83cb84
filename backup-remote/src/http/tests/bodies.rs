//! Bodies of answers.

use std::time::Duration;

use backup_core::{ErrorKind, Result};
use bytes::BytesMut;
use futures::TryStreamExt;
use http::{Method, Request, Response};

use super::site::Site;
use crate::http::Body;
use crate::test_server::pattern;
use crate::testkit::{Ending, Gate, Harm, RequestFault, Which};
use crate::{Call, Repeat};

/// What came of a body, and how it ended.
async fn read(answer: Response<Body>) -> (usize, Result<()>) {
    let (mut stream, mut bytes) = (answer.into_body().stream(), 0);
    loop {
        match stream.try_next().await {
            Ok(Some(data)) => bytes += data.len(),
            Ok(None) => return (bytes, Ok(())),
            Err(error) => return (bytes, Err(error)),
        }
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_item_and_never_a_short_stream() {
    let site = Site::new().await;
    for path in ["/100000", "/chunked/100000"] {
        for (after, ending) in [(0, Ending::Close), (70_000, Ending::Close), (70_000, Ending::Reset), (99_999, Ending::Close)] {
            site.proxy.requests(Which::next(), "", "", RequestFault::AnswerBody(Harm::Cut { after, ending }));
            let (bytes, end) = read(site.get(path).await.unwrap()).await;
            let error = end.unwrap_err();
            assert_eq!(error.code().name, "remote.answer", "{error}");
            assert!(bytes as u64 <= after, "{path}: {bytes} after {after}");
        }
        let (bytes, end) = read(site.get(path).await.unwrap()).await;
        end.unwrap();
        assert_eq!(bytes, 100_000);
    }
}

#[tokio::test]
async fn a_broken_answer_is_fetched_again() {
    let site = Site::new().await;
    site.proxy.requests(Which::next(), "", "", RequestFault::AnswerBody(Harm::Cut { after: 10, ending: Ending::Close }));
    site.proxy.requests(Which::nth(2), "", "", RequestFault::WrongLength(5));
    assert_eq!(site.fetch("/1000").await.unwrap().body().len(), 1000);
    assert_eq!(site.proxy.seen().len(), 3);
}

#[tokio::test]
async fn a_body_with_a_length_too_great_breaks_off_and_one_too_small_harms_no_other_answer() {
    let site = Site::new().await;
    site.proxy.requests(Which::next(), "", "", RequestFault::WrongLength(5));
    let answer = site.get("/1000").await.unwrap();
    assert_eq!(answer.body().length(), Some(1005));
    let (bytes, end) = read(answer).await;
    assert_eq!((bytes, end.unwrap_err().code().name), (1000, "remote.answer"));
    // HTTP cannot tell: whoever knows the size has to look.
    site.proxy.requests(Which::next(), "", "", RequestFault::WrongLength(-5));
    assert_eq!(site.fetch("/1000").await.unwrap().body().len(), 995);
    assert_eq!(site.fetch("/7").await.unwrap().body(), "aaaaaaa");
}

#[tokio::test]
async fn a_body_may_be_slow_but_not_pause_for_longer_than_the_stall_limit() {
    let site = Site::new().await;
    let slow = Harm::Slow { piece: 100, pause: Duration::from_millis(1) };
    site.proxy.requests(Which::next(), "", "", RequestFault::AnswerBody(slow));
    let answer = site.get("/1000").await.unwrap();
    let mut stream = answer.into_body().stream();
    let mut bytes = 0;
    while let Some(data) = stream.try_next().await.unwrap() {
        bytes += data.len();
        // A reader that is slow itself is no stall.
        site.clock.advance(Duration::from_secs(40));
    }
    assert_eq!(bytes, 1000);

    let gate = Gate::default();
    site.proxy.requests(Which::next(), "", "", RequestFault::AnswerBody(Harm::Hold { after: 400, gate: gate.clone() }));
    let answer = site.get("/1000").await.unwrap();
    let mut stream = answer.into_body().stream();
    let mut bytes = 0;
    while bytes < 400 {
        bytes += stream.try_next().await.unwrap().unwrap().len();
    }
    let stalled = async {
        site.clock.wait_for_sleepers(1).await;
        site.clock.advance(Duration::from_secs(30));
    };
    let (end, ()) = tokio::join!(stream.try_next(), stalled);
    let error = end.unwrap_err();
    assert_eq!((error.code().name, error.kind()), ("job.stalled", ErrorKind::Timeout));
    assert!(error.to_string().contains("30 s"), "{error}");
    gate.open();
}

#[tokio::test]
async fn a_cancel_ends_a_body() {
    let site = Site::new().await;
    let gate = Gate::default();
    site.proxy.requests(Which::next(), "", "", RequestFault::AnswerBody(Harm::Hold { after: 0, gate: gate.clone() }));
    let answer = site.get("/1000").await.unwrap();
    site.cx.cancel_token().cancel();
    assert_eq!(read(answer).await.1.unwrap_err().kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn a_body_goes_on_where_it_broke_off_until_every_byte_is_there() {
    const BYTES: usize = 1 << 20;
    let site = Site::new().await;
    for after in [0, 100_000, 200_000] {
        site.proxy.requests(
            Which::nth(after / 100_000 + 1),
            "",
            "/pattern",
            RequestFault::AnswerBody(Harm::Cut { after, ending: Ending::Reset }),
        );
    }
    site.proxy.requests(Which::nth(4), "", "/pattern", RequestFault::WrongLength(10));
    let path = format!("/pattern/{BYTES}");
    let first = site.get(&path).await.unwrap().into_body().stream();
    let (http, cx, url) = (site.http.clone(), site.cx.clone(), format!("{}{path}", site.proxy.url()));
    let open = move |left: std::ops::Range<u64>| {
        let (http, cx) = (http.clone(), cx.clone());
        let request = Request::get(&url).header("range", format!("bytes={}-", left.start)).body(Vec::new()).unwrap();
        async move { Ok(http.open(&cx, &Call::reading("Get"), &request).await?.into_body().stream()) }
    };
    let body = site.http.calls().resumed(&site.cx, "Get", 0..BYTES as u64, first, open);
    let whole: BytesMut = body.try_collect().await.unwrap();
    assert!(whole == pattern(BYTES)[..], "the bytes differ");
    assert_eq!(site.proxy.seen().len(), 4);
}

#[tokio::test]
async fn a_head_has_no_body_whatever_length_it_tells() {
    let site = Site::new().await;
    let answer = site.http.open(&site.cx, &Call::reading("Head"), &site.request(Method::HEAD, "/1000", &[])).await.unwrap();
    assert_eq!((&answer.headers()["content-length"], answer.body().length()), (&"1000".parse().unwrap(), Some(0)));
    site.put(Repeat::Always).await.unwrap();
    assert_eq!(read(site.get("/0").await.unwrap()).await.0, 0);
}
