//! What an answer makes of a call.

use std::time::Duration;

use backup_core::{Clock, Effect};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::site::Site;
use crate::http::failure::retry_after;
use crate::testkit::{Reply, RequestFault, Which};
use crate::{Call, Repeat};

fn answered(reply: Reply) -> RequestFault {
    RequestFault::Answer(reply)
}

#[tokio::test]
async fn a_service_that_cannot_now_is_asked_again_when_it_says() {
    let site = Site::new().await;
    for (as_date, seconds) in [(false, 7.0), (true, 9.0)] {
        let before = site.clock.monotonic();
        let then = httpdate::fmt_http_date((site.clock.now() + Duration::from_secs(9)).into());
        let value = if as_date { then } else { "7".to_owned() };
        site.proxy.requests(Which::next(), "", "", answered(Reply::status(503).header("retry-after", &value)));
        assert_eq!(site.fetch("/3").await.unwrap().body(), "aaa");
        let pause = (site.clock.monotonic() - before).as_secs_f64();
        // A date has whole seconds.
        assert!(pause >= seconds - 1.0 && pause <= seconds * 1.1, "{value}: {pause}");
    }
}

#[test]
fn what_is_no_time_to_wait_is_none() {
    let now = "2026-11-21T09:30:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().into();
    let asked =
        |value: &'static str| retry_after(&HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(value))]), now);
    assert_eq!(asked("0"), Some(Duration::ZERO));
    assert_eq!(asked(" 12 "), Some(Duration::from_secs(12)));
    assert_eq!(asked("Sat, 21 Nov 2026 09:30:05 GMT"), Some(Duration::from_secs(5)));
    assert_eq!(asked("Sat, 21 Nov 2026 09:29:00 GMT"), Some(Duration::ZERO), "a time that is over");
    for none in ["soon", "-1", "1.5", ""] {
        assert_eq!(asked(none), None, "{none}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), now), None);
}

#[tokio::test]
async fn passing_statuses_are_asked_again_and_end_with_what_the_service_said() {
    for status in [429, 500, 502, 503, 504] {
        let site = Site::new().await;
        let reply = Reply::status(status).body("<Code>SlowDown</Code>\r\n\x1b[31m  later ");
        site.proxy.requests(Which::all(), "", "", answered(reply));
        let error = site.fetch("/3").await.unwrap_err();
        assert_eq!((error.code().name, site.proxy.seen().len()), ("remote.overloaded", 3));
        let text = error.to_string();
        assert!(text.contains(&status.to_string()) && text.contains(": <Code>SlowDown</Code> [31m later [remote"), "{text}");
    }
}

#[tokio::test]
async fn other_statuses_are_answers_and_redirects_are_not_followed() {
    let site = Site::new().await;
    for status in [400, 401, 403, 404, 409, 412, 501] {
        site.proxy.requests(Which::next(), "", "", answered(Reply::status(status).body("no")));
        let answer = site.fetch("/3").await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.body()[..]), (status, &b"no"[..]));
    }
    let before = site.proxy.seen().len();
    let away = site.fetch("/away").await.unwrap();
    assert_eq!((away.status(), &away.headers()["location"]), (StatusCode::FOUND, &HeaderValue::from_static("/3")));
    assert_eq!(site.proxy.seen().len(), before + 1);
}

#[tokio::test]
async fn only_too_many_requests_certainly_had_no_effect() {
    for (status, attempts, effect) in [(429, 3, Effect::None), (500, 1, Effect::Unknown), (503, 1, Effect::Unknown)] {
        let site = Site::new().await;
        site.proxy.requests(Which::all(), "", "", answered(Reply::status(status)));
        let error = site.put(Repeat::IfUnsent).await.unwrap_err();
        assert_eq!((site.proxy.seen().len(), error.effect()), (attempts, effect), "{status}: {error}");
    }
}

#[tokio::test]
async fn an_answer_in_the_middle_of_an_upload_is_heard() {
    let site = Site::new().await;
    site.proxy.requests(Which::next(), "PUT", "", answered(Reply::status(503).early().body("slow down")));
    let mut request = site.request(Method::PUT, "/key", &[]);
    request.body_mut().push(vec![7; 8 << 20].into());
    let answer = site.http.fetch(&site.cx, &Call::changing("Put", Repeat::Always), &request, 100).await.unwrap();
    assert_eq!(answer.body(), "taken");
    assert_eq!(site.server.got()[0].body.len(), 8 << 20);
    assert_eq!(site.proxy.seen().iter().map(|seen| seen.status).collect::<Vec<_>>(), [Some(503), Some(200)]);
}

#[tokio::test]
async fn an_answer_longer_than_the_limit_is_refused_and_nothing_is_decompressed() {
    let site = Site::new().await;
    let fetch = async |limit| {
        let request = site.request(Method::GET, "/1000", &[]);
        site.http.fetch(&site.cx, &Call::reading("Get"), &request, limit).await
    };
    assert_eq!(fetch(1000).await.unwrap().body().len(), 1000);
    assert_eq!(fetch(999).await.unwrap_err().code().name, "remote.answer");
    assert_eq!(site.proxy.seen().len(), 2, "it would be no shorter another time");
    let put = Call::changing("Put", Repeat::Always);
    let error = site.http.fetch(&site.cx, &put, &site.request(Method::PUT, "/key", &[]), 4).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("remote.answer", Effect::Unknown));
    site.proxy.requests(Which::next(), "", "", answered(Reply::status(200).header("content-encoding", "gzip").body("as it is")));
    assert_eq!(site.fetch("/3").await.unwrap().body(), "as it is");
}
