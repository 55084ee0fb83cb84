use axum::http::{Method, StatusCode};
use backup_core::testkit::{Fault, FaultPlan, FaultRule, OpKind};

use super::world::{World, request};

#[tokio::test]
async fn an_empty_list_is_an_array() {
    let world = World::start(14).await;
    for path in ["/api/v1/backup", "/api/v1/backup/", "/api/v1/backup?x=1"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"[]\n"[..]), "{path}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let head = world.ask(request(Method::HEAD, "/api/v1/backup")).await;
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (StatusCode::OK, 0, "3"));
}

#[tokio::test]
async fn what_is_no_backup_is_not_listed() {
    let world = World::start(14).await;
    for name in [
        "notes.txt",
        "snapshot-20181220_024105.db",
        "snapshot-20181220_024105.db.part",
        "snapshot-20181220_024105.tar.gz.part",
        "old/snapshot-20181220_024105.tar.gz",
    ] {
        world.store.raw_put(name, super::world::gzip(b"content of somebody else"));
    }
    world.clock.advance(std::time::Duration::from_secs(100));
    assert!(world.names().await.is_empty());
    world.post().await;
    assert_eq!(world.names().await, ["snapshot-20261121_093140.tar.gz"]);
}

#[tokio::test]
async fn a_store_that_fails_is_a_500_with_the_decided_message() {
    let world = World::start(14).await;
    world.store.set_faults(
        FaultPlan::seeded(1).rule(FaultRule::new(Fault::ErrorBefore(&backup_core::error::codes::STORE_IO)).on([OpKind::List])),
    );
    let answer = world.get("/api/v1/backup").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!((&answer.json()["message"], &answer.json()["status"]), (&"failed to list etcd backups".into(), &500.into()));
    let answer = world.get("/api/v1/backup/snapshot-20181220_024105.tar.gz").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.json()["message"], "failed to read an etcd backup");
    world.store.verify_all_faults_exercised();
}

#[tokio::test]
async fn other_methods_are_405_with_what_is_allowed_and_other_paths_404_both_as_json() {
    let world = World::start(14).await;
    for (method, path, allowed) in [
        (Method::PUT, "/api/v1/backup", "GET,HEAD,POST"),
        (Method::DELETE, "/api/v1/backup/", "GET,HEAD"),
        (Method::POST, "/api/v1/backup/snapshot-20181220_024105.tar.gz", "GET,HEAD"),
        (Method::OPTIONS, "/api/v1/backup", "GET,HEAD,POST"),
    ] {
        let answer = world.ask(request(method, path)).await;
        assert_eq!((answer.status, answer.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, allowed), "{path}");
        assert_eq!(answer.json()["status"], 405);
    }
    for path in ["/", "/api/v1/backupfoo", "/api/v1", "/api/v1/backup/x/y", "/api/v1/backup/x", "/api/v1/backup/%ff"] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        let body = answer.json();
        assert_eq!(body["error"], "requested resource is not found", "{path}");
        assert!(body["message"].is_string() && body["request_id"].is_string() && body["status"] == 404, "{body}");
    }
}
