use crate::etcd_backup::openapi;

#[test]
fn every_operation_is_described() {
    let document = serde_json::to_value(openapi()).unwrap();
    for (path, method) in [("/api/v1/backup", "get"), ("/api/v1/backup", "post"), ("/api/v1/backup/{filename}", "get")] {
        assert!(document["paths"][path][method]["responses"]["500"].is_object(), "{method} {path}: {document}");
    }
    for schema in ["Saved", "Failure"] {
        assert!(document["components"]["schemas"][schema]["required"].is_array(), "{schema}");
    }
}

/// Each answer that the router can give, against the document.
#[cfg(feature = "testkit")]
#[tokio::test]
async fn the_router_is_what_its_document_says() {
    use std::sync::atomic::Ordering;

    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use backup_core::error::codes::STORE_IO;
    use backup_core::testkit::{Fault, FaultPlan, FaultRule, OpKind};

    use super::world::World;
    use crate::etcd_backup::router;
    use crate::testkit::Contract;

    let world = World::start(14).await;
    let app = router(world.dialect.clone());
    let mut contract = Contract::new(serde_json::to_value(openapi()).unwrap());
    let file = "/api/v1/backup/snapshot-20261121_093000.tar.gz";
    let request = |method: &str, path: &str| Request::builder().method(method).uri(path);
    let mut asked = Vec::new();
    for (builder, expected) in [
        (request("POST", "/api/v1/backup"), StatusCode::OK),
        (request("GET", "/api/v1/backup"), StatusCode::OK),
        (request("HEAD", "/api/v1/backup"), StatusCode::OK),
        (request("GET", "/api/v1/backup/"), StatusCode::OK),
        (request("GET", file), StatusCode::OK),
        (request("HEAD", file), StatusCode::OK),
        (request("GET", file).header("Range", "bytes=0-3"), StatusCode::PARTIAL_CONTENT),
        (request("GET", file).header("Range", "bytes=999999-"), StatusCode::RANGE_NOT_SATISFIABLE),
        (request("GET", file).header("If-None-Match", "*"), StatusCode::NOT_MODIFIED),
        (request("GET", file).header("If-Match", "\"other\""), StatusCode::PRECONDITION_FAILED),
        (request("GET", "/api/v1/backup/none"), StatusCode::NOT_FOUND),
    ] {
        let (status, _) = contract.ask(&app, builder.body(Body::empty()).unwrap()).await;
        asked.push((status, expected));
    }
    world.behaviour.failing.store(true, Ordering::SeqCst);
    let (status, _) = contract.ask(&app, request("POST", "/api/v1/backup").body(Body::empty()).unwrap()).await;
    asked.push((status, StatusCode::INTERNAL_SERVER_ERROR));
    let failing = FaultRule::new(Fault::ErrorBefore(&STORE_IO)).on([OpKind::List]);
    world.store.set_faults(FaultPlan::seeded(1).rule(failing));
    for path in ["/api/v1/backup", "/api/v1/backup/", file] {
        let (status, _) = contract.ask(&app, request("GET", path).body(Body::empty()).unwrap()).await;
        asked.push((status, StatusCode::INTERNAL_SERVER_ERROR));
    }
    world.store.clear_faults();
    assert!(asked.iter().all(|(status, expected)| status == expected), "{asked:?}");
    contract.covers(&app).await;
    assert_eq!(contract.findings(), &[] as &[String]);
}
