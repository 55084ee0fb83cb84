use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::world::{ADMIN, OTHER, World};

async fn status_of(world: &World, volume: &str) -> Option<String> {
    world.hand.with(|things| things.volumes.get(volume).map(|found| found.volume.status.clone()))
}

#[tokio::test]
async fn a_volume_from_a_backup_has_its_id_at_once_and_its_data_and_properties_in_the_end() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "hello");
    world.hand.with(|things| things.volumes.get_mut(&volume).unwrap().volume.bootable = true);
    let id = world.backed_up(&volume, json!({})).await;
    assert_eq!(world.backup(&id).await["property"], "bootable=true");
    world.close_gate();
    let order = json!({"volume": {"backup_id": id, "size": 4, "metadata": {"a": "b"}, "extra": null}});
    let made = world.post("/volume", order).await.id("volume");
    assert_eq!(status_of(&world, &made).await.as_deref(), Some("reserved"), "nobody uses it before the data is there");
    // What is being read stays.
    assert_eq!(
        world.delete(&format!("/volume/backup/{id}")).await.refused(),
        (409, format!("Volume backup {id} is being restored!"))
    );
    world.open_gate();
    world.until(async || status_of(&world, &made).await.as_deref() == Some("available")).await;
    let found = world.hand.with(|things| things.volumes[&made].clone());
    assert_eq!((found.bytes.as_str(), found.volume.name.as_str(), found.volume.size), ("hello", "data", 4));
    assert!(found.volume.bootable && found.volume.metadata["a"] == "b" && found.project == "demo");
    world.until(async || world.delete(&format!("/volume/backup/{id}")).await.code() == 201).await;
}

#[tokio::test]
async fn the_newest_point_of_a_chain_is_brought_back() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({"incremental": true})).await;
    world.hand.write(&volume, "two");
    world.update(&id).await;
    let made = world.post("/volume", json!({"volume": {"backup_id": id, "name": "copy"}})).await.id("volume");
    world.until(async || status_of(&world, &made).await.as_deref() == Some("available")).await;
    assert_eq!(world.hand.bytes(&made), "two");
}

#[tokio::test]
async fn a_restore_that_fails_leaves_no_volume() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({})).await;
    world.hand.fails.store(true, Ordering::SeqCst);
    let made = world.post("/volume", json!({"volume": {"backup_id": id}})).await.id("volume");
    world.until(async || status_of(&world, &made).await.is_none()).await;
    let settled = world.hand.with(|things| {
        things.asked.iter().any(|asked| asked.starts_with(&format!("settle {made}")) && asked.contains("rbd said no"))
    });
    assert!(settled);
}

#[tokio::test]
async fn a_restore_that_was_interrupted_leaves_no_volume_and_the_backup_free() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({})).await;
    world.close_gate();
    let made = world.post("/volume", json!({"volume": {"backup_id": id}})).await.id("volume");
    world.at_gate(1).await;
    let world = world.restart().await;
    world.until(async || status_of(&world, &made).await.is_none()).await;
    world.ordered().await;
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    world.gone(&format!("/volume/backup/{id}")).await;
}

#[tokio::test]
async fn what_cannot_be_restored_is_refused_before_a_volume_is_made() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({})).await;
    let order = async |token: &str, volume: Value| world.by(token, "POST", "/volume", &json!({ "volume": volume })).await;
    let own = super::world::DEMO;
    assert_eq!(order(OTHER, json!({"backup_id": id})).await.refused(), (404, format!("Volume backup {id} is not found!")));
    assert_eq!(order(own, json!({"backup_id": "../x"})).await.refused().0, 404);
    let refused = order(own, json!({"backup_id": id, "volume_type": "tape"})).await.refused();
    assert_eq!(refused, (400, "Volume type tape is not found!".to_owned()));
    assert_eq!(
        order(own, json!({"backup_id": id, "size": 1})).await.refused(),
        (400, "Size 1 is less than 2 of the backup!".to_owned())
    );
    assert_eq!(order(own, json!({"backup_id": id, "metadata": {"backup:job": "x"}})).await.refused().0, 400);
    assert_eq!(order(own, json!({"backup_id": 5})).await.code(), 422);
    world.hand.fails.store(true, Ordering::SeqCst);
    let failed = world.begin(&volume, json!({})).await;
    world.over(&failed).await;
    assert_eq!(order(own, json!({"backup_id": failed})).await.refused().0, 409);
    assert!(!world.hand.with(|things| things.asked.iter().any(|asked| asked == "create volume")));
    // An administrator makes one of another project's backup, in the own project.
    world.hand.fails.store(false, Ordering::SeqCst);
    let made = order(ADMIN, json!({"backup_id": id})).await.id("volume");
    assert_eq!(world.hand.with(|things| things.volumes[&made].project.clone()), "adm");
}
