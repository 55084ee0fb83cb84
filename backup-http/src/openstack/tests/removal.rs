use std::sync::atomic::Ordering;
use std::time::Duration;

use backup_core::SetName;
use serde_json::{Value, json};

use super::world::{ADMIN, World};
use crate::openstack::record::{Status, VolumeBackup};

fn incremental() -> Value {
    json!({ "incremental": true })
}

#[tokio::test]
async fn a_link_that_was_published_and_not_taken_in_goes_with_its_backup() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, incremental()).await;
    world.close_gate();
    assert_eq!(world.post(&format!("/volume/backup/{id}/action"), json!({"update": {}})).await.code(), 201);
    world.at_gate(1).await;
    let inner = &world.dialect.inner;
    let pending = inner.get::<VolumeBackup>("demo", &id).await.unwrap().unwrap().pending;
    assert!(pending.is_some());
    world.open_gate();
    assert_eq!(world.over(&id).await["links"], 2);
    // As a process leaves it that ends between the two.
    let back = inner.amend::<VolumeBackup>("demo", &id, |record| {
        record.links.pop();
        (record.status, record.pending) = (Status::Error, pending.clone());
        Ok(())
    });
    back.await.unwrap();
    let path = format!("/volume/backup/{id}");
    world.delete(&path).await.id("backup");
    world.over_or_gone(&id).await;
    assert_eq!(world.get(&path).await.code(), 404);
    assert_eq!(world.stored().await.len(), 0);
}

#[tokio::test]
async fn a_removal_that_ends_half_way_leaves_a_record_of_what_is_there() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, incremental()).await;
    world.hand.write(&volume, "two");
    world.update(&id).await;
    let (cx, set) = (world.repository.context(), SetName::new(format!("volumes/p-demo/v-{volume}")).unwrap());
    let first = world.repository.list(&cx, &set).await.unwrap()[0].id.clone();
    world.repository.pin(&cx, &set, &first, "the law").await.unwrap();
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    let backup = world.over(&id).await;
    assert!(backup["fail_reason"].as_str().unwrap().starts_with("it could not be deleted"), "{backup}");
    assert_eq!((backup["status"].clone(), backup["links"].clone()), (json!("error"), json!(1)));
    // The base is that of the link that is gone.
    assert_eq!(backup["snapshot_id"], "");
    let made = world.post("/volume", json!({"volume": {"backup_id": id}})).await.id("volume");
    world.until(async || world.hand.bytes(&made) == "one").await;
    world.until(async || world.dialect.inner.restores(None).await.unwrap().is_empty()).await;
    world.repository.unpin(&cx, &set, &first).await.unwrap();
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    world.gone(&format!("/volume/backup/{id}")).await;
    assert_eq!((world.stored().await.len(), world.hand.ours().len()), (0, 0));
}

#[tokio::test]
async fn a_removal_that_has_to_wait_says_for_what() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, incremental()).await;
    world.hand.with(|things| things.stuck = true);
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    world.until(async || world.backup(&id).await["fail_reason"].as_str().is_some_and(|why| why.contains("stuck"))).await;
    assert_eq!(world.backup(&id).await["status"], "deleting");
}

#[tokio::test]
async fn an_imported_backup_takes_no_snapshot_along() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let snapshot = world.hand.snapshot(&volume);
    let import = async |snapshot: &str| {
        let backup = json!({
            "name": "i", "volume_id": volume, "source_zone": "east", "project_id": "demo", "incremental": true, "snapshot_id": snapshot,
        });
        world.by(ADMIN, "POST", "/volume/backup", &json!({ "backup": backup })).await
    };
    assert_eq!(import("no uuid").await.refused(), (400, "Argument snapshot_id is invalid!".to_owned()));
    let id = import(&snapshot).await.id("backup");
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    world.gone(&format!("/volume/backup/{id}")).await;
    assert!(world.hand.with(|things| things.snapshots.contains_key(&snapshot)));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_volume_that_another_process_works_on() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({})).await;
    let replica = world.replica().await;
    world.close_gate();
    let second = replica.begin(&volume, json!({})).await;
    world.at_gate(1).await;
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    let stopped = async { tokio::join!(world.dialect.stop(), world.service.stop(Duration::ZERO)) };
    tokio::time::timeout(Duration::from_secs(60), stopped).await.expect("it waits for the volume");
    assert_eq!(replica.backup(&id).await["status"], "deleting");
    assert_eq!(world.hand.running.load(Ordering::SeqCst), 1);
    world.open_gate();
    replica.over(&second).await;
}
