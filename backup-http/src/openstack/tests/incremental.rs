use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::world::{ADMIN, World};
use crate::openstack::Role;
use crate::openstack::record::VolumeBackup;

fn incremental() -> Value {
    json!({ "incremental": true })
}

#[tokio::test]
async fn an_update_adds_a_link_and_moves_the_one_base_on() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, incremental()).await;
    let first = world.backup(&id).await["snapshot_id"].as_str().unwrap().to_owned();
    assert_eq!(world.hand.ours(), [(first.clone(), Role::Base.as_str())]);
    world.hand.write(&volume, "two");
    let backup = world.update(&id).await;
    assert_eq!((backup["status"].clone(), backup["links"].clone()), (json!("active"), json!(2)));
    assert_eq!(backup["time_update"], "2024-05-01T10:20:31");
    let second = backup["snapshot_id"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(world.hand.ours(), [(second, Role::Base.as_str())]);
    let captured = world.hand.with(|things| things.captured.clone());
    assert_eq!(captured, [(volume.clone(), None), (volume.clone(), Some(Some(first)))]);
    let stored = world.stored().await;
    assert_eq!((stored[0].1.clone(), stored[1].1.clone()), (vec![], vec![stored[0].0.clone()]));
    // The whole chain goes, and the base with it.
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    world.gone(&format!("/volume/backup/{id}")).await;
    assert_eq!((world.stored().await.len(), world.hand.ours().len()), (0, 0));
}

#[tokio::test]
async fn an_update_that_fails_leaves_the_point_before_and_its_base() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, incremental()).await;
    let base = world.backup(&id).await["snapshot_id"].clone();
    world.hand.fails.store(true, Ordering::SeqCst);
    let backup = world.update(&id).await;
    assert_eq!((backup["status"].clone(), backup["links"].clone()), (json!("error"), json!(1)));
    assert!(backup["fail_reason"].as_str().unwrap().contains("rbd said no"), "{backup}");
    assert_eq!(backup["snapshot_id"], base);
    assert_eq!(world.hand.ours(), [(base.as_str().unwrap().to_owned(), "base")]);
    world.hand.fails.store(false, Ordering::SeqCst);
    // It can be brought back, and moved on.
    world.post("/volume", json!({"volume": {"backup_id": id}})).await.id("volume");
    let backup = world.update(&id).await;
    assert_eq!((backup["status"].clone(), backup["fail_reason"].clone()), (json!("active"), Value::Null));
}

#[tokio::test]
async fn a_chain_that_is_long_enough_begins_anew_and_what_it_replaces_goes() {
    let world = World::with(|builder| builder.chain_limit(3)).await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, incremental()).await;
    for expected in [2, 3, 1, 2] {
        assert_eq!(world.update(&id).await["links"], expected);
        let stored = world.stored().await;
        assert_eq!(stored.len(), expected, "{stored:?}");
        assert_eq!(stored.iter().filter(|(_, parents)| parents.is_empty()).count(), 1);
        assert_eq!(world.hand.ours().len(), 1);
    }
}

#[tokio::test]
async fn a_volume_that_has_grown_and_a_base_that_is_gone_begin_anew() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, incremental()).await;
    world.hand.with(|things| things.volumes.get_mut(&volume).unwrap().volume.size = 5);
    let backup = world.update(&id).await;
    assert_eq!((backup["links"].clone(), backup["size"].clone()), (json!(1), json!(5)));
    assert_eq!(world.update(&id).await["links"], 2);
    let base = world.backup(&id).await["snapshot_id"].as_str().unwrap().to_owned();
    world.hand.with(|things| things.snapshots.remove(&base));
    assert_eq!(world.update(&id).await["links"], 1);
    assert_eq!(world.hand.ours().len(), 1);
    assert_eq!(world.stored().await.len(), 1);
}

#[tokio::test]
async fn there_is_one_incremental_backup_of_a_volume_in_a_project() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let body = json!({"backup": {"name": "second", "volume_id": volume, "incremental": true}});
    world.close_gate();
    let id = world.begin(&volume, incremental()).await;
    let conflict = (409, "Incremental backup b is on this volume.".to_owned());
    assert_eq!(world.post("/volume/backup", body.clone()).await.refused(), conflict);
    world.open_gate();
    world.over(&id).await;
    assert_eq!(world.post("/volume/backup", body.clone()).await.refused(), conflict);
    // One of another project does not count.
    let foreign = world.by(ADMIN, "POST", "/volume/backup", &body).await;
    assert_eq!(foreign.code(), 201, "{foreign:?}");
    // One in error does not, either; but then it cannot be moved on beside the other one.
    world.over(foreign.json()["backup"]["id"].as_str().unwrap()).await;
    world.hand.fails.store(true, Ordering::SeqCst);
    assert_eq!(world.update(&id).await["status"], "error");
    world.hand.fails.store(false, Ordering::SeqCst);
    let second = world.post("/volume/backup", body).await.id("backup");
    assert_eq!(world.over(&second).await["status"], "active");
    let answer = world.post(&format!("/volume/backup/{id}/action"), json!({"update": {}})).await;
    assert_eq!(answer.refused(), (409, "Incremental backup second is on this volume.".to_owned()));
}

#[tokio::test]
async fn two_requests_at_once_make_one_incremental_backup() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let body = json!({"backup": {"name": "b", "volume_id": volume, "incremental": true}});
    let (first, second) = tokio::join!(world.post("/volume/backup", body.clone()), world.post("/volume/backup", body));
    let mut codes = [first.code(), second.code()];
    codes.sort_unstable();
    assert_eq!(codes, [201, 409]);
}

#[tokio::test]
async fn what_cannot_be_updated_says_why() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let full = world.backed_up(&volume, json!({})).await;
    let update = async |id: &str| world.post(&format!("/volume/backup/{id}/action"), json!({"update": {}})).await.refused();
    assert_eq!(update(&full).await, (400, "Backup is not incremental!".to_owned()));
    world.close_gate();
    let id = world.begin(&volume, incremental()).await;
    assert_eq!(update(&id).await, (400, "Last snapshot does not exist!".to_owned()));
    world.at_gate(1).await;
    world.hand.gate.add_permits(1);
    world.over(&id).await;
    let answer = world.post(&format!("/volume/backup/{id}/action"), json!({"update": {"x": 1}, "more": 1})).await;
    assert_eq!(answer.code(), 201);
    assert_eq!(update(&id).await, (409, format!("Volume backup {id} is updating!")));
    world.open_gate();
    assert_eq!(world.over(&id).await["links"], 2);
}

#[tokio::test]
async fn a_base_in_error_begins_anew_and_one_that_is_busy_fails_this_once() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, incremental()).await;
    let base = world.backup(&id).await["snapshot_id"].as_str().unwrap().to_owned();
    let is =
        |status: &str| world.hand.with(|things| things.snapshots.get_mut(&base).unwrap().snapshot.status = status.to_owned());
    is("backing-up");
    let backup = world.update(&id).await;
    assert_eq!((backup["status"].clone(), backup["links"].clone()), (json!("error"), json!(1)));
    is("available");
    assert_eq!(world.update(&id).await["links"], 2);
    let base = world.backup(&id).await["snapshot_id"].as_str().unwrap().to_owned();
    world.hand.with(|things| things.snapshots.get_mut(&base).unwrap().snapshot.status = "error_deleting".to_owned());
    let backup = world.update(&id).await;
    assert_eq!((backup["status"].clone(), backup["links"].clone()), (json!("active"), json!(1)));
    assert_eq!(world.hand.ours().len(), 1);
}

#[tokio::test]
async fn the_size_of_a_backup_is_that_of_what_was_stored() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    world.close_gate();
    let id = world.begin(&volume, incremental()).await;
    world.at_gate(1).await;
    let noted = world.dialect.inner.amend::<VolumeBackup>("demo", &id, |record| {
        record.pending.as_mut().unwrap().size = Some(1);
        Ok(())
    });
    noted.await.unwrap();
    world.open_gate();
    assert_eq!(world.over(&id).await["size"], 2);
}
