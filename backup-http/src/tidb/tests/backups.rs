use serde_json::json;

use super::world::World;

#[tokio::test]
async fn a_backup_runs_through_its_states_and_reads_as_documented() {
    let world = World::with(&["oEcox8lMQ7KMswDebRwIZg"], "+08:00", Default::default()).await;
    let accepted = world.post("/backups/", json!({"clusterId": "oEcox8lMQ7KMswDebRwIZg", "backupMode": "manual"})).await.data();
    let id = accepted["backupId"].as_str().unwrap().to_owned();
    assert!(accepted["workFlowId"].is_string() && id.len() == 22, "{accepted}");
    let running = world.until(&id, |record| record["status"] == "Processing").await;
    assert_eq!((&running["size"], &running["backupTso"]), (&json!(0), &json!("0")));
    assert_eq!(running["startTime"], running["endTime"]);
    assert!(running.get("message").is_none(), "{running}");
    let workflow = world.get(&format!("/workflow/{id}")).await.data();
    assert_eq!(
        (&workflow["info"]["status"], &workflow["info"]["bizId"]),
        (&json!("Processing"), &json!("oEcox8lMQ7KMswDebRwIZg"))
    );

    world.release(1);
    let record = world.over(&id).await;
    let expected = json!({
        "id": id,
        "clusterId": "oEcox8lMQ7KMswDebRwIZg",
        "backupType": "full",
        "backupMethod": "physical",
        "backupMode": "manual",
        "filePath": "nfs/em/backup/oEcox8lMQ7KMswDebRwIZg/2022-04-28-16-00-41-full",
        "size": 1.4309883,
        "backupTso": "432834567783318505",
        "status": "Finished",
        "startTime": "2022-04-28T16:00:41.697491505+08:00",
        "endTime": "2022-04-28T16:00:41.697491505+08:00",
        "createTime": "2022-04-28T16:00:41.697491505+08:00",
        "updateTime": "2022-04-28T16:00:41.697491505+08:00",
        "deleteTime": "0001-01-01T00:00:00Z",
        "message": "a table has no primary key",
    });
    assert_eq!(record.to_string(), expected.to_string());
    let keys = world.store.keys();
    let own: Vec<_> = keys.iter().filter(|key| !key.starts_with(".backup/")).collect();
    assert_eq!(own.len(), 2, "{keys:?}");
    assert!(own.iter().all(|key| key.starts_with("oEcox8lMQ7KMswDebRwIZg/2022-04-28-16-00-41-full/")), "{own:?}");
}

#[tokio::test]
async fn two_backups_of_one_second_lie_in_two_directories() {
    let world = World::new().await;
    let mut paths = Vec::new();
    for _ in 0..3 {
        let id = world.back_up("c1", "full").await.data()["backupId"].as_str().unwrap().to_owned();
        world.release(1);
        paths.push(world.over(&id).await["filePath"].as_str().unwrap().to_owned());
    }
    let second = |second: u32| format!("nfs/em/backup/c1/2022-04-28-08-00-{second}-full");
    assert_eq!(paths, [second(41), second(42), second(43)]);
    // Nor is a directory used that somebody else has put something into.
    let world = World::new().await;
    world.store.raw_put("c1/2022-04-28-08-00-41-full/backup.lock", "x");
    let id = world.back_up("c1", "full").await.data()["backupId"].as_str().unwrap().to_owned();
    world.release(1);
    assert_eq!(world.over(&id).await["filePath"], second(42));
}

#[tokio::test]
async fn a_backup_that_fails_says_why() {
    let world = World::new().await;
    world.hand.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    let id = world.back_up("c1", "full").await.data()["backupId"].as_str().unwrap().to_owned();
    world.release(1);
    let record = world.over(&id).await;
    assert_eq!(record["status"], "Failed");
    assert!(record["message"].as_str().unwrap().contains("TiKV said no"), "{record}");
    assert_eq!(record["backupTso"], "0");
}

#[tokio::test]
async fn a_cancelled_backup_ends_failed_and_its_cluster_is_free() {
    let world = World::new().await;
    let id = world.started("c1").await;
    assert_eq!(world.post("/backups/cancel/", json!({"clusterId": "c1", "backupId": id})).await.data(), json!({}));
    let record = world.over(&id).await;
    assert_eq!((&record["status"], &record["message"]), (&json!("Failed"), &json!("cancelled by request")));
    assert_eq!(world.post("/backups/cancel", json!({"clusterId": "c1", "backupId": id})).await.code(), (500, 20611));
    world.finished("c1").await;
}

#[tokio::test]
async fn a_queued_backup_is_initializing_and_can_be_cancelled() {
    let limits = backup_core::service::Limits::default().running(1);
    let world = World::with(&["c1", "c2"], "UTC", limits).await;
    let first = world.started("c1").await;
    let second = world.back_up("c2", "full").await.data()["backupId"].as_str().unwrap().to_owned();
    assert_eq!(world.record(&second).await["status"], "Initializing");
    world.post("/backups/cancel", json!({"clusterId": "c2", "backupId": second})).await.data();
    assert_eq!(world.over(&second).await["status"], "Failed");
    world.release(1);
    assert_eq!(world.over(&first).await["status"], "Finished");
}

#[tokio::test]
async fn cancelling_what_is_not_there_is_refused() {
    let world = World::new().await;
    let id = world.started("c1").await;
    for (body, code) in [
        (json!({"clusterId": "c1"}), (400, 10001)),
        (json!({"backupId": id}), (400, 10001)),
        (json!({"clusterId": "", "backupId": ""}), (400, 10001)),
        (json!({"clusterId": "c2", "backupId": id}), (500, 20604)),
        (json!({"clusterId": "c1", "backupId": "xxxxxxxx"}), (500, 20604)),
        (json!({"clusterId": "c1", "backupId": "h6IhUQh-Q32MDOfcVieYgA"}), (500, 20604)),
        (json!({"clusterId": 5, "backupId": id}), (400, 10004)),
    ] {
        assert_eq!(world.post("/backups/cancel", &body).await.code(), code, "{body}");
    }
    world.release(1);
    assert_eq!(world.over(&id).await["status"], "Finished");
}

#[tokio::test]
async fn deleting_removes_the_files_first_and_the_newest_too() {
    let world = World::new().await;
    let id = world.finished("c1").await;
    assert_eq!(world.delete(&id).await.data(), json!({}));
    assert_eq!(world.store.keys(), Vec::<String>::new());
    assert_eq!(world.records("").await.len(), 0);
    for unknown in [id.as_str(), "xxxxxx", "%ff", "..%2f.."] {
        assert_eq!(world.delete(unknown).await.data(), json!({}), "{unknown}");
    }
}

#[tokio::test]
async fn a_running_backup_is_not_deleted_nor_one_whose_files_stay() {
    let world = World::new().await;
    let full = world.finished("c1").await;
    let running = world.started("c1").await;
    assert_eq!(world.delete(&running).await.code(), (409, 20603));
    assert_eq!(world.delete(&full).await.code(), (409, 20114));
    world.release(1);
    world.over(&running).await;
    let incr = world.back_up("c1", "incr").await.data()["backupId"].as_str().unwrap().to_owned();
    world.release(1);
    assert_eq!(world.over(&incr).await["backupType"], "incr");
    let answer = world.delete(&running).await;
    assert_eq!(answer.code(), (500, 20608));
    assert!(answer.json()["message"].as_str().unwrap().contains("needs it"), "{answer:?}");
    assert_eq!(world.record(&running).await["status"], "Finished");
    for id in [&incr, &running, &full] {
        world.delete(id).await.data();
    }
    assert_eq!(world.store.keys(), Vec::<String>::new());
}
