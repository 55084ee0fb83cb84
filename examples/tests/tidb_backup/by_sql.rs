use backup_core::testkit::note_secret;
use serde_json::json;

use crate::server::Place;
use crate::tidb::{CLUSTER_ID, TidbServer};

const PASSWORD: &str = "tidb-root-password";

fn place(tidb: &TidbServer) -> Place {
    note_secret(PASSWORD);
    let sql = format!("sql: {{ address: '{}', user: root, password: {PASSWORD}, poll: 1s }}", tidb.address());
    Place::new(&format!("  - {{ id: c1, name: one, executor: {{ {sql} }} }}\n  - {{ id: c2, executor: {{ {sql} }} }}"))
}

async fn tidb() -> TidbServer {
    let tidb = TidbServer::start().await;
    tidb.set(|behaviour| behaviour.cluster_id = Some(CLUSTER_ID.to_string()));
    tidb
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_backed_up_listed_restored_and_its_backup_deleted() {
    let tidb = tidb().await;
    let place = place(&tidb);
    let server = place.start();
    let id = server.back_up("c1", "full");
    let record = server.over(&id).await;
    assert_eq!(record["status"], "Finished", "{record}");
    let path = record["filePath"].as_str().unwrap();
    assert!(path.starts_with(&format!("{}/c1/", place.storage().display())) && path.ends_with("-full"), "{record}");
    assert!(std::path::Path::new(path).join("backupmeta").is_file());
    assert_eq!(record["backupTso"], tidb.task().backup_ts.to_string());
    assert!(record["size"].as_f64().unwrap() > 0.0 && record["startTime"].as_str().unwrap().ends_with("+08:00"), "{record}");

    let answer = server.data("POST", "/clusters/restore", &json!({"clusterId": "c2", "backupId": id}));
    let workflow = server.workflow_over(answer["workFlowId"].as_str().unwrap()).await;
    assert_eq!(workflow["status"], "Finished", "{workflow}");
    assert!(!tidb.task().order.backup, "{:?}", tidb.task());

    assert_eq!(server.get("/healthz").status, 200);
    assert!(server.get("/metrics").text().contains("backup"));
    assert!(server.get("/openapi.json").text().contains("/api/v1/backups/cancel/"));
    server.data("DELETE", &format!("/backups/{id}/"), &json!({}));
    assert!(!std::path::Path::new(path).exists());
    server.stop();
    place.assert_nowhere(PASSWORD);
    place.assert_nowhere(ADMIN_END);
}

/// The token, but for its beginning, by which logs could name it.
const ADMIN_END: &str = "acbc-eddfff41d40a";

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_backup_is_killed_in_tidb() {
    let tidb = tidb().await;
    tidb.set(|behaviour| behaviour.hold = Some("Backup".into()));
    let place = place(&tidb);
    let server = place.start();
    let id = server.back_up("c1", "full");
    tidb.until_state("Backup").await;
    server.data("POST", "/backups/cancel", &json!({"clusterId": "c1", "backupId": id}));
    let record = server.over(&id).await;
    assert_eq!((&record["status"], &record["message"]), (&json!("Failed"), &json!("cancelled by request")));
    assert!(tidb.task().killed && !tidb.task().running(), "{:?}", tidb.task());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_ends_what_runs_in_tidb_and_frees_the_cluster() {
    let tidb = tidb().await;
    let place = place(&tidb);
    let server = place.start();
    let done = server.back_up("c2", "full");
    server.over(&done).await;
    tidb.set(|behaviour| behaviour.hold = Some("Backup".into()));
    let cut = server.back_up("c1", "full");
    tidb.until("the task works", |tasks| tasks.last().is_some_and(|task| task.state == "Backup" && task.running())).await;
    server.kill();
    assert!(tidb.task().running(), "a task goes on when its client goes away");
    let server = place.start();
    let record = server.over(&cut).await;
    assert_eq!(record["status"], "Failed", "{record}");
    assert!(record["message"].as_str().unwrap().contains("interrupted"), "{record}");
    assert!(!tidb.task().running(), "{:?}", tidb.task());
    assert_eq!(server.record(&done)["status"], "Finished");
    tidb.release();
    let next = server.back_up("c1", "full");
    assert_eq!(server.over(&next).await["status"], "Finished");
    place.assert_nowhere(PASSWORD);
}
