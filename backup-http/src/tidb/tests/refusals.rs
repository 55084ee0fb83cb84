use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use tower::ServiceExt;

use super::world::{ADMIN, EXPIRED, READER, World, request};
use crate::limits::{Limits, RequestLimits};
use crate::tidb::dress;

#[tokio::test]
async fn requests_are_checked_in_the_order_of_the_contract() {
    let world = World::new().await;
    for (body, code) in [
        ("", (400, 10004)),
        ("x", (400, 10004)),
        ("[]", (400, 10004)),
        (r#"{"clusterId":1}"#, (400, 10004)),
        ("{}", (400, 10001)),
        (r#"{"clusterId":""}"#, (400, 10001)),
        (r#"{"clusterId":"c1","backupMode":"often"}"#, (400, 10001)),
        (r#"{"clusterId":"none","backupMode":"often"}"#, (400, 10001)),
        (r#"{"clusterId":"c1","backupType":"log"}"#, (400, 10001)),
        (r#"{"clusterId":"none"}"#, (404, 10003)),
    ] {
        for path in ["/backups", "/backups/"] {
            let answer = world.post(path, body).await;
            assert_eq!(answer.code(), code, "{path} {body}");
            assert!(answer.json().get("page").is_none());
        }
    }
    assert_eq!(
        world.post("/backups", r#"{"clusterId":"c1","backupMode":null,"backupType":"full","more":1}"#).await.code(),
        (200, 0)
    );
    assert_eq!(world.back_up("c1", "incr").await.code(), (409, 20114), "the lock comes before the parent");
}

#[tokio::test]
async fn tokens_are_asked_for_and_never_repeated() {
    let world = World::new().await;
    let with = async |header: Option<&str>| {
        let builder = Request::builder().method("POST").uri("/api/v1/backups");
        let builder = header.into_iter().fold(builder, |builder, value| builder.header("authorization", value));
        world.ask(builder.body(Body::from("x")).unwrap()).await
    };
    for header in [
        None,
        Some(""),
        Some("Bearer "),
        Some("Bearer hunter2-hunter2"),
        Some("bearer 6b43c6e2-8e96-48f8-acbc-eddfff41d40a"),
        Some("Bearer  6b43c6e2-8e96-48f8-acbc-eddfff41d40a"),
        Some("6b43c6e2-8e96-48f8-acbc-eddfff41d40a"),
        Some("Basic b3BzOmh1bnRlcjItaHVudGVyMg=="),
    ] {
        let answer = with(header).await;
        assert_eq!(answer.code(), (401, 70600), "{header:?}");
        assert!(!answer.text.contains("hunter2") && !answer.text.contains("6b43"), "{answer:?}");
    }
    assert_eq!(with(Some(&format!("Bearer {EXPIRED}"))).await.code(), (401, 70602));
    // Refused before the body is looked at.
    for (method, path) in
        [("POST", "/backups"), ("PUT", "/clusters/c1/strategy"), ("DELETE", "/backups/x"), ("POST", "/clusters/restore")]
    {
        assert_eq!(world.ask(request(method, path, READER, "x")).await.code(), (403, 70650), "{method} {path}");
    }
    for path in ["/backups", "/clusters/c1/strategy"] {
        assert_eq!(world.ask(request("GET", path, READER, "")).await.code(), (200, 0));
    }
    assert_eq!(world.ask(request("POST", "/backups", ADMIN, "x")).await.code(), (400, 10004));
}

#[tokio::test]
async fn what_no_handler_answers_has_an_envelope_too() {
    let world = World::new().await;
    assert_eq!(world.get("/nothing").await.code(), (404, 10000));
    assert_eq!(world.get("/backups/x/y").await.code(), (404, 10000));
    for (method, path, allow) in
        [("PATCH", "/backups", "GET, POST"), ("GET", "/backups/x/", "DELETE"), ("HEAD", "/backups", "GET, POST")]
    {
        let answer = world.ask(request(method, path, "none", "")).await;
        assert_eq!((answer.status.as_u16(), &answer.headers["allow"]), (405, &allow.parse().unwrap()), "{method} {path}");
    }
    let limits = Limits { body_bytes: 20, ..Limits::default() };
    let app = dress(world.app.clone().layer(RequestLimits::new(&limits)));
    let long = json!({"clusterId": "c1", "backupMode": "manual"}).to_string();
    let answer = app.oneshot(request("POST", "/backups", ADMIN, &long)).await.unwrap();
    assert_eq!(answer.status(), 413);
    let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["code"], 10004);

    async fn panics() -> &'static str {
        panic!("told to")
    }
    let app = dress(Router::new().route("/api/v1/panics", axum::routing::get(panics)).layer(crate::fallback::catch_panics()));
    let answer = app.oneshot(request("GET", "/panics", ADMIN, "")).await.unwrap();
    assert_eq!(answer.status(), 500);
    let body = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["code"], -1);
}

#[tokio::test]
async fn the_trace_id_is_echoed_when_it_is_sane_and_made_otherwise() {
    let world = World::new().await;
    let ask = async |trace: Option<String>| {
        let mut request = request("GET", "/nothing", ADMIN, "");
        request.headers_mut().extend(trace.map(|trace| (crate::tidb::TRACE_ID, trace.parse().unwrap())));
        world.ask(request).await.headers["em-x-trace-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(ask(Some("trace-1".to_owned())).await, "trace-1");
    for other in [None, Some("with space".to_owned()), Some("x".repeat(129)), Some("\u{e9}".to_owned())] {
        let made = ask(other.clone()).await;
        assert_eq!(made.len(), 22, "{other:?}");
    }
}
