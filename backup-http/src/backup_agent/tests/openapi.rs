use crate::backup_agent::openapi;

#[test]
fn every_operation_is_described() {
    let document = serde_json::to_value(openapi()).unwrap();
    for (path, method) in
        [("/backup", "post"), ("/backup", "delete"), ("/restore", "put"), ("/restore/{id}", "get"), ("/status", "get")]
    {
        assert!(document["paths"][path][method]["responses"]["401"].is_object(), "{method} {path}: {document}");
    }
    assert_eq!(document["components"]["securitySchemes"]["basic"]["scheme"], "basic");
}

/// Each answer that the router can give, against the document.
#[cfg(feature = "testkit")]
#[tokio::test]
async fn the_router_is_what_its_document_says() {
    use axum::body::Body;
    use axum::http::{Method, Request};
    use serde_json::json;

    use super::world::{World, backup, request, restore};
    use crate::testkit::Contract;

    let world = World::with_slots(2).await;
    let mut contract = Contract::new(serde_json::to_value(openapi()).unwrap());
    let mut seen = Vec::new();
    let mut ask = async |request, expected: u16| {
        let (status, _) = contract.ask(&world.app, request).await;
        seen.push((status.as_u16(), expected));
    };
    let (b, r) = (backup("a").to_string(), restore("a").to_string());
    ask(request(Method::GET, "/status", ""), 200).await;
    for (method, path, body) in [(Method::POST, "/backup", &b), (Method::PUT, "/restore", &r)] {
        ask(request(method.clone(), path, body), 201).await;
        ask(request(method.clone(), path, body), 409).await;
        ask(request(method.clone(), path, "{}"), 400).await;
        ask(request(Method::GET, &format!("{path}/a"), ""), 200).await;
        ask(request(Method::GET, &format!("{path}/none"), ""), 404).await;
        ask(request(Method::GET, &format!("{path}/.a"), ""), 400).await;
        ask(request(Method::GET, &format!("{path}/"), ""), 400).await;
        ask(request(Method::DELETE, path, "{\"id\":\"none\"}"), 410).await;
        ask(request(Method::DELETE, path, "{}"), 400).await;
        ask(Request::builder().method(method).uri(path).body(Body::empty()).unwrap(), 401).await;
    }
    ask(request(Method::POST, "/backup", &backup("b").to_string()), 429).await;
    world.state.fail_next(1);
    ask(request(Method::GET, "/backup/none", ""), 500).await;
    world.release(2);
    world.ended("/backup/a").await;
    world.ended("/restore/a").await;
    for path in ["/backup", "/restore"] {
        ask(request(Method::GET, &format!("{path}/a"), ""), 200).await;
        ask(request(Method::DELETE, path, &json!({"id": "a"}).to_string()), 200).await;
    }
    contract.covers(&world.app).await;
    assert!(seen.iter().all(|(status, expected)| status == expected), "{seen:?}");
    assert_eq!(contract.findings(), &[] as &[String]);
}
