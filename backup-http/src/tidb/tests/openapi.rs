use crate::tidb::openapi;

#[test]
fn every_operation_is_described_with_and_without_a_slash() {
    let document = serde_json::to_value(openapi()).unwrap();
    for (path, method) in [
        ("/api/v1/backups", "post"),
        ("/api/v1/backups", "get"),
        ("/api/v1/backups/cancel", "post"),
        ("/api/v1/backups/{backupId}", "delete"),
        ("/api/v1/clusters/{clusterId}/strategy", "put"),
        ("/api/v1/clusters/{clusterId}/strategy", "post"),
        ("/api/v1/clusters/restore", "post"),
        ("/api/v1/workflow/{workFlowId}", "get"),
    ] {
        for path in [path.to_owned(), format!("{path}/")] {
            assert!(document["paths"][&path][method]["responses"]["200"].is_object(), "{method} {path}: {document}");
        }
    }
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}

/// Each answer that the router can give, against the document.
#[cfg(feature = "testkit")]
#[tokio::test]
async fn the_router_is_what_its_document_says() {
    use serde_json::json;

    use super::world::{ADMIN, READER, World, request};
    use crate::testkit::Contract;

    let world = World::new().await;
    let id = world.finished("c1").await;
    let mut contract = Contract::new(serde_json::to_value(openapi()).unwrap());
    let mut seen = Vec::new();
    for slash in ["", "/"] {
        let mut ask = async |method: &str, path: &str, token: &str, body: serde_json::Value, expected: u16| {
            let (status, _) =
                contract.ask(&world.app, request(method, &format!("{path}{slash}"), token, &body.to_string())).await;
            seen.push((method.to_owned(), path.to_owned(), status.as_u16(), expected));
        };
        let strategy = json!({"strategy": {"backupDate": "", "period": "7-9"}});
        for method in ["PUT", "POST"] {
            ask(method, "/clusters/c1/strategy", ADMIN, strategy.clone(), 200).await;
            ask(method, "/clusters/c1/strategy", ADMIN, json!({}), 400).await;
            ask(method, "/clusters/c1/strategy", READER, json!({}), 403).await;
        }
        ask("GET", "/clusters/c1/strategy", ADMIN, json!(null), 200).await;
        ask("GET", "/backups", ADMIN, json!({}), 200).await;
        ask("GET", "/backups", "none", json!({}), 401).await;
        ask("POST", "/backups", ADMIN, json!({}), 400).await;
        ask("POST", "/backups/cancel", ADMIN, json!({"clusterId": "c1", "backupId": id}), 500).await;
        ask("POST", "/clusters/restore", ADMIN, json!({"clusterId": "none", "backupId": id}), 404).await;
        ask("GET", &format!("/workflow/{id}"), ADMIN, json!({}), 200).await;
        ask("GET", "/workflow/none", ADMIN, json!({}), 404).await;
        if slash.is_empty() {
            ask("POST", "/backups", ADMIN, json!({"clusterId": "c2"}), 200).await;
            ask("POST", "/clusters/restore", ADMIN, json!({"clusterId": "c1", "backupId": id}), 200).await;
            ask("POST", "/backups", ADMIN, json!({"clusterId": "c2"}), 409).await;
        } else {
            ask("DELETE", &format!("/backups/{id}"), ADMIN, json!({}), 409).await;
        }
        ask("DELETE", "/backups/none", ADMIN, json!({}), 200).await;
    }
    contract.covers(&world.app).await;
    assert!(seen.iter().all(|(_, _, status, expected)| status == expected), "{seen:#?}");
    assert_eq!(contract.findings(), &[] as &[String]);
}
