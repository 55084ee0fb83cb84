use std::convert::Infallible;

use axum::Router;
use axum::routing::{get, post};
use backup_core::Bytes;
use futures::stream;
use serde_json::json;
use tower::ServiceExt;

use super::*;

fn limits() -> Limits {
    Limits { body_bytes: 10, concurrent_requests: 1, body_read_timeout: Duration::from_secs(5), ..Limits::default() }
}

fn app() -> Router {
    Router::new()
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/long", get(|| async { Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()) }))
        .route("/healthz", get(|| async { "ok" }))
        .layer(RequestLimits::new(&limits()))
}

async fn ask(app: &Router, method: &str, path: &str, body: Body) -> Response<Body> {
    let request = Request::builder().method(method).uri(path).body(body).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_request_holds_its_place_until_its_answer_has_ended() {
    let app = app();
    let long = ask(&app, "GET", "/long", Body::empty()).await;
    let refused = ask(&app, "GET", "/long", Body::empty()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(ask(&app, "GET", "/healthz", Body::empty()).await.status(), StatusCode::OK);
    drop(long);
    assert_eq!(ask(&app, "GET", "/long", Body::empty()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_above_the_limit_is_413_announced_or_not() {
    let app = app();
    let pieces = || Body::from_stream(stream::iter([Ok::<_, Infallible>("123456"), Ok("123456")]));
    assert_eq!(ask(&app, "POST", "/echo", pieces()).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let request = Request::post("/echo").header("content-length", "11").body(pieces()).unwrap();
    assert_eq!(app.clone().oneshot(request).await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(ask(&app, "POST", "/echo", Body::from("1234567890")).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_ends_at_the_read_timeout() {
    let started = tokio::time::Instant::now();
    let drip = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, Infallible>("x"), ()))
    });
    let answer = ask(&app(), "POST", "/echo", Body::from_stream(drip)).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(started.elapsed().as_secs(), 5);
}

#[test]
fn limits_are_read_in_kebab_case_and_nonsense_is_refused() {
    let read: Limits = serde_json::from_value(json!({"body-bytes": 5, "idle-timeout": "2m"})).unwrap();
    assert_eq!(read, Limits { body_bytes: 5, idle_timeout: Duration::from_secs(120), ..Limits::default() });
    assert!(serde_json::from_value::<Limits>(json!({"bodybytes": 5})).is_err());
    for bad in [
        json!({"header-bytes": 100}),
        json!({"header-count": 0}),
        json!({"concurrent-requests": 0}),
        json!({"connections": 0}),
        json!({"header-bytes": 1_000_000_000}),
        json!({"connections": usize::MAX}),
    ] {
        let limits: Limits = serde_json::from_value(bad.clone()).unwrap();
        assert_eq!(limits.check().unwrap_err().code().name, "http.config_invalid", "{bad}");
    }
}
