//! What a restore can rely on, and what others find after it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backup_core::repository::BackupInfo;
use backup_core::service::Target;
use backup_core::state::Expected;
use backup_core::{SetName, error};
use serde_json::{Value, json};

use super::restore::workflow_over;
use super::world::World;
use crate::kept;
use crate::tidb::id::RecordId;

async fn restore(world: &World, into: &str, backup: &str) -> Value {
    world.post("/clusters/restore", json!({"clusterId": into, "backupId": backup})).await.data()
}

/// Restores, and gives the id of the workflow.
async fn restored(world: &World, into: &str, backup: &str) -> String {
    let id = restore(world, into, backup).await["workFlowId"].as_str().unwrap().to_owned();
    world.release(1);
    assert_eq!(workflow_over(world, &id).await["status"], "Finished");
    world.clock.advance(Duration::from_secs(1));
    id
}

async fn backups(world: &World) -> Vec<Arc<BackupInfo>> {
    let inner = &world.dialect.inner;
    inner.repository.list(&inner.repository.context(), &SetName::new("c1").unwrap()).await.unwrap()
}

async fn pin(world: &World) {
    let (inner, info) = (&world.dialect.inner, backups(world).await[0].clone());
    inner.repository.pin(&inner.repository.context(), &info.set, &info.id, "by hand").await.unwrap();
}

#[tokio::test]
async fn what_is_restored_is_pinned_until_the_last_restore_of_it_has_ended() {
    let world = World::with(&["c1", "c2", "c3"], "UTC", backup_core::service::Limits::default()).await;
    let id = world.finished("c1").await;
    let first = restore(&world, "c2", &id).await["workFlowId"].as_str().unwrap().to_owned();
    let second = restore(&world, "c3", &id).await["workFlowId"].as_str().unwrap().to_owned();
    // As a tool does that works on the same repository.
    let info = backups(&world).await[0].clone();
    let target = Target::without_source(world.dialect.inner.repository.clone(), info.set.clone());
    let job = world.service.delete(&target, &info.id, Default::default()).await.unwrap();
    assert_eq!(*job.wait().await.unwrap_err().code(), error::codes::BACKUP_NOT_REMOVABLE);
    world.post("/backups/cancel", json!({"clusterId": "c2", "backupId": first})).await.data();
    workflow_over(&world, &first).await;
    assert!(backups(&world).await[0].pinned);
    world.release(1);
    assert_eq!(workflow_over(&world, &second).await["status"], "Finished");
    assert!(!backups(&world).await[0].pinned);
    world.delete(&id).await.data();
}

#[tokio::test]
async fn a_pin_of_somebody_else_outlives_a_restore() {
    let world = World::new().await;
    let id = world.finished("c1").await;
    pin(&world).await;
    restored(&world, "c2", &id).await;
    assert!(backups(&world).await[0].pinned);
    assert_eq!(world.delete(&id).await.code(), (500, 20608));
}

#[tokio::test]
async fn an_incremental_backup_is_restored_only_right_after_the_one_that_it_adds_to() {
    let world = World::new().await;
    let full = world.finished("c1").await;
    let incr = world.back_up("c1", "incr").await.data()["backupId"].as_str().unwrap().to_owned();
    world.release(1);
    assert_eq!(world.over(&incr).await["status"], "Finished");
    let refused = async || {
        let answer = world.post("/clusters/restore", json!({"clusterId": "c2", "backupId": incr})).await;
        assert_eq!(answer.code(), (400, 20610));
        assert!(answer.text.contains("the full one"), "{answer:?}");
    };
    refused().await;
    // One that was cancelled does not count.
    let id = restore(&world, "c2", &full).await["workFlowId"].as_str().unwrap().to_owned();
    world.post("/backups/cancel", json!({"clusterId": "c2", "backupId": id})).await.data();
    workflow_over(&world, &id).await;
    world.clock.advance(Duration::from_secs(1));
    refused().await;
    restored(&world, "c2", &full).await;
    restored(&world, "c2", &incr).await;
    refused().await;
    assert!(backups(&world).await.iter().all(|info| !info.pinned));
}

#[tokio::test]
async fn a_restore_is_cancelled_by_its_id_and_its_cluster() {
    let world = World::new().await;
    let backup = world.finished("c1").await;
    let answer = restore(&world, "c2", &backup).await;
    assert_eq!(answer["warnings"], json!(["a table is there already"]));
    let id = answer["workFlowId"].as_str().unwrap();
    while world.hand.restored.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let cancel = async |cluster: &str| world.post("/backups/cancel", json!({"clusterId": cluster, "backupId": id})).await;
    assert_eq!(cancel("c1").await.code(), (500, 20604));
    cancel("c2").await.data();
    let info = workflow_over(&world, id).await;
    assert_eq!((&info["status"], &info["message"]), (&json!("Failed"), &json!("cancelled by request")));
    assert_eq!(cancel("c2").await.code(), (500, 20611));
    world.finished("c2").await;
}

#[tokio::test]
async fn a_finished_restore_whose_note_stayed_is_finished_after_a_restart() {
    let world = World::new().await;
    let backup = world.finished("c1").await;
    let id = restored(&world, "c2", &backup).await;
    let inner = &world.dialect.inner;
    let workflow = inner.workflow(RecordId::parse(&id).unwrap()).await.unwrap().unwrap();
    let note = format!("tidb/restoring/{backup}/{id}");
    kept::set(&*inner.state, &note, Expected::Any, &workflow).await.unwrap();
    let world = world.restart().await;
    assert_eq!(workflow_over(&world, &id).await["status"], "Finished");
    assert!(world.hand.ended.lock().unwrap().is_empty());
    assert!(kept::get::<Value>(&*world.dialect.inner.state, &note).await.unwrap().is_none());
    world.finished("c2").await;
    world.delete(&backup).await.data();
}

#[tokio::test]
async fn what_is_the_clusters_fault_is_not_said_of_the_backup() {
    let world = World::new().await;
    let backup = world.finished("c1").await;
    world.hand.unreachable.store(true, Ordering::SeqCst);
    let answer = world.post("/clusters/restore", json!({"clusterId": "c2", "backupId": backup})).await;
    assert_eq!(answer.code(), (500, 40103));
    // The refused one left nothing behind.
    assert!(!backups(&world).await[0].pinned);
    world.delete(&backup).await.data();
}

#[tokio::test]
async fn restores_that_ended_long_ago_are_forgotten_but_the_newest_of_each_cluster() {
    let world = World::new().await;
    let backup = world.finished("c1").await;
    let old = restored(&world, "c2", &backup).await;
    let newest = restored(&world, "c2", &backup).await;
    world.clock.advance(Duration::from_secs(31 * 86_400));
    let other = restored(&world, "c1", &backup).await;
    while world.get(&format!("/workflow/{old}")).await.status != 404 {
        tokio::task::yield_now().await;
    }
    for kept in [newest, other] {
        world.get(&format!("/workflow/{kept}")).await.data();
    }
}
