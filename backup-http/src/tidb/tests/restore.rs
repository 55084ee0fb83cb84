use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::world::World;

async fn workflow_over(world: &World, id: &str) -> Value {
    loop {
        let info = world.get(&format!("/workflow/{id}/")).await.data()["info"].clone();
        if info["status"] == "Finished" || info["status"] == "Failed" {
            return info;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_backup_is_restored_into_any_configured_cluster() {
    let world = World::new().await;
    let id = world.finished("c1").await;
    let answer = world.post("/clusters/restore", json!({"clusterId": "c2", "backupId": id})).await.data();
    assert_eq!(answer["clusterId"], "c2");
    // Its cluster is in maintenance, and the backup stays.
    assert_eq!(world.back_up("c2", "full").await.code(), (409, 20114));
    assert_eq!(world.delete(&id).await.code(), (409, 20114));
    world.release(1);
    let info = workflow_over(&world, answer["workFlowId"].as_str().unwrap()).await;
    assert_eq!((&info["status"], &info["name"], &info["backupId"]), (&json!("Finished"), &json!("RestoreCluster"), &json!(id)));
    let restored = world.hand.restored.lock().unwrap().clone();
    assert_eq!(restored, [("c2".to_owned(), "sim://place/c1/2022-04-28-08-00-41-full/".to_owned())]);
    world.delete(&id).await.data();
    assert_eq!(world.get("/workflow/h6IhUQh-Q32MDOfcVieYgA").await.status, 404);
}

#[tokio::test]
async fn what_cannot_be_restored_is_refused_before_anything_begins() {
    let world = World::new().await;
    let good = world.finished("c1").await;
    let running = world.started("c1").await;
    for (body, code) in [
        (json!({}), (400, 10001)),
        (json!({"clusterId": "c2"}), (400, 10001)),
        (json!({"backupId": good}), (400, 10001)),
        (json!({"clusterId": "none", "backupId": good}), (404, 10003)),
        (json!({"clusterId": "c2", "backupId": "h6IhUQh-Q32MDOfcVieYgA"}), (500, 20604)),
        (json!({"clusterId": "c2", "backupId": running}), (400, 20610)),
        (json!({"clusterId": "c1", "backupId": good}), (409, 20114)),
    ] {
        assert_eq!(world.post("/clusters/restore/", &body).await.code(), code, "{body}");
    }
    world.hand.unfit.store(true, Ordering::SeqCst);
    let answer = world.post("/clusters/restore", json!({"clusterId": "c2", "backupId": good})).await;
    assert_eq!(answer.code(), (400, 20610));
    assert!(answer.text.contains("does not go into"), "{answer:?}");
    world.release(1);
    world.over(&running).await;
    world.finished("c2").await;
}

#[tokio::test]
async fn an_interrupted_restore_is_ended_in_its_cluster_and_failed() {
    let world = World::new().await;
    let id = world.finished("c1").await;
    let answer = world.post("/clusters/restore", json!({"clusterId": "c2", "backupId": id})).await.data();
    while world.hand.restored.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let world = world.restart().await;
    let info = workflow_over(&world, answer["workFlowId"].as_str().unwrap()).await;
    assert_eq!(info["status"], "Failed");
    assert!(info["message"].as_str().unwrap().contains("interrupted"), "{info}");
    let ended = world.hand.ended.lock().unwrap().clone();
    assert_eq!(ended, [("c2".to_owned(), "sim://place/c1/2022-04-28-08-00-41-full/".to_owned())]);
    world.delete(&id).await.data();
    world.finished("c2").await;
}
