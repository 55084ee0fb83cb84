//! The OpenAPI document says what the router does.

use axum::http::StatusCode;

use crate::testkit::Contract;

use super::*;

#[tokio::test]
async fn the_router_does_what_its_document_says() {
    let world = World::new().await;
    let mut contract = Contract::new(serde_json::to_value(crate::etcd_sidecar::openapi()).unwrap());
    let requests = [
        ("GET", "/v1/status", "", 200),
        ("GET", "/v1/backup", "", 404),
        ("GET", "/v1/backupnow", "", 200),
        ("GET", "/v1/backupnow", "", 200),
        ("GET", "/v1/status", "", 200),
        ("GET", "/v1/backup", "", 200),
        ("HEAD", "/v1/backup", "", 200),
        ("GET", "/v1/backup", "bytes=1-2", 206),
        ("GET", "/v1/backup", "bytes=99999-", 416),
        ("GET", "/v1/backup?etcdVersion=2.0.0", "", 400),
        ("GET", "/v1/backup?etcdVersion=3.5.1&etcdRevision=1", "", 404),
        ("HEAD", "/v1/backup?etcdVersion=2.0.0", "", 400),
    ];
    for (method, path, range, status) in requests {
        let request = Request::builder().method(method).uri(path).header("range", range);
        let (found, _) = contract.ask(&world.router, request.body(Body::empty()).unwrap()).await;
        assert_eq!(found, StatusCode::from_u16(status).unwrap(), "{method} {path}");
    }
    world.etcd.probe_fails(&super::fake::UNREACHABLE, "connecting failed");
    contract.ask(&world.router, Request::get("/v1/backupnow").body(Body::empty()).unwrap()).await;
    contract.covers(&world.router).await;
    assert_eq!(contract.findings(), &[] as &[String]);
}
