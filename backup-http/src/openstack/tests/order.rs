//! What an order of things finds is judged by what it is by now, not by what it was when it was listed.

use std::time::Duration;

use backup_core::Bytes;
use backup_core::state::{Expected, State};
use serde_json::{Value, json};

use super::world::{ADMIN, World};
use crate::openstack::record::{InstanceBackup, InstanceSnapshot, Kept, Status, VolumeBackup};
use crate::openstack::volumes::live_id;

/// A process that is gone.
const GONE: &str = "0-0";

async fn record<R: Kept>(world: &World, id: &str) -> Option<R> {
    world.dialect.inner.get::<R>("demo", id).await.unwrap()
}

async fn amend<R: Kept>(world: &World, id: &str, change: impl Fn(&mut R) + Send + Sync) {
    let amended = world.dialect.inner.amend::<R>("demo", id, |record| {
        change(record);
        Ok(())
    });
    assert!(amended.await.is_ok_and(|amended| amended.is_some()));
}

/// An instance of one volume, and what is made of it when it has ended.
async fn made(world: &World, what: &str, more: Value) -> String {
    let volume = world.hand.volume("demo", "root", "one");
    let server = world.hand.server("demo", "ACTIVE", &[volume]);
    let mut body = json!({"name": "i", "instance_id": server});
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    let id = world.post(&format!("/instance/{what}"), json!({ what: body })).await.id(what);
    let path = format!("/instance/{what}/{id}");
    world.until(async || world.by(ADMIN, "GET", &path, &Value::Null).await.json()[what]["status"] == "active").await;
    world.until(async || !world.dialect.inner.is_live(&id)).await;
    id
}

#[tokio::test]
async fn an_instance_snapshot_that_ended_since_it_was_listed_stays_whole() {
    let world = World::new().await;
    let id = made(&world, "snapshot", json!({})).await;
    let kept = record::<InstanceSnapshot>(&world, &id).await.unwrap();
    let mut listed = kept.clone();
    (listed.status, listed.owner) = (Status::Building, Some(GONE.to_owned()));
    world.dialect.inner.order_instance_snapshot(listed).await.unwrap();
    assert_eq!(record::<InstanceSnapshot>(&world, &id).await, Some(kept));
    world.ordered().await;
    assert_eq!(world.hand.ours().len(), 1);
}

#[tokio::test]
async fn an_instance_backup_that_is_being_removed_since_it_was_listed_goes_on_so() {
    let world = World::new().await;
    let id = made(&world, "backup", json!({})).await;
    let mut listed = record::<InstanceBackup>(&world, &id).await.unwrap();
    (listed.status, listed.owner) = (Status::Building, Some(GONE.to_owned()));
    amend::<InstanceBackup>(&world, &id, |record| {
        (record.status, record.owner) = (Status::Deleting, Some(GONE.to_owned()));
    })
    .await;
    world.dialect.inner.order_instance_backup(listed).await.unwrap();
    let left = record::<InstanceBackup>(&world, &id).await;
    assert!(left.as_ref().is_none_or(|record| record.status == Status::Deleting), "{left:?}");
    world.ordered().await;
    world.gone(&format!("/instance/backup/{id}")).await;
}

#[tokio::test]
async fn an_update_of_an_instance_backup_that_came_to_none_of_its_members_is_not_shown_as_done() {
    let world = World::new().await;
    let id = made(&world, "backup", json!({"incremental": true})).await;
    amend::<InstanceBackup>(&world, &id, |record| {
        (record.status, record.owner) = (Status::Updating, Some(GONE.to_owned()));
    })
    .await;
    world.ordered().await;
    let left = record::<InstanceBackup>(&world, &id).await.unwrap();
    assert_eq!((left.status, left.updated_at), (Status::Error, None));
    assert!(left.fail_reason.unwrap().starts_with("interrupted"));
}

#[tokio::test]
async fn a_removal_of_what_is_being_made_goes_on_after_a_crash() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({"incremental": true})).await;
    world.close_gate();
    assert_eq!(world.post(&format!("/volume/backup/{id}/action"), json!({"update": {}})).await.code(), 201);
    world.at_gate(1).await;
    world.hand.with(|things| things.stuck = true);
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    world.until(async || !world.dialect.inner.is_live(&id)).await;
    let left = record::<VolumeBackup>(&world, &id).await.unwrap();
    assert_eq!((left.status, left.owner.is_some()), (Status::Deleting, true));
    let world = world.restart().await;
    world.open_gate();
    world.hand.with(|things| things.stuck = false);
    world.gone(&format!("/volume/backup/{id}")).await;
    world.ordered().await;
    assert_eq!(world.hand.ours(), []);
}

#[tokio::test]
async fn a_removal_that_nobody_owns_is_taken_up() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({})).await;
    amend::<VolumeBackup>(&world, &id, |record| (record.status, record.owner) = (Status::Deleting, None)).await;
    world.ordered().await;
    world.gone(&format!("/volume/backup/{id}")).await;
    assert_eq!(world.stored().await, []);
}

#[tokio::test]
async fn a_rollback_that_ended_since_it_was_listed_is_not_run_again() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let snapshot = world.hand.snapshot(&volume);
    let path = format!("/volume/{volume}/action");
    let body = json!({"rollback": {"snapshot_id": snapshot}});
    world.close_gate();
    let look = async {
        world.at_gate(1).await;
        let listed = world.dialect.inner.rollbacks().await.unwrap().remove(0);
        world.open_gate();
        listed
    };
    let (answer, listed) = tokio::join!(world.post(&path, body), look);
    assert_eq!(answer.code(), 201);
    world.hand.write(&volume, "two");
    world.until(async || !world.dialect.inner.is_live(&live_id(&volume))).await;
    assert!(world.dialect.inner.order_rollback(&listed).await.unwrap());
    assert!(!world.dialect.inner.is_live(&live_id(&volume)));
    world.until(async || world.dialect.inner.rollbacks().await.unwrap().is_empty()).await;
    assert_eq!(world.hand.bytes(&volume), "two");
}

#[tokio::test]
async fn a_volume_that_cannot_be_freed_after_a_rollback_is_freed_later_and_not_rolled_back_again() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let snapshot = world.hand.snapshot(&volume);
    world.hand.write(&volume, "two");
    world.hand.with(|things| things.held = true);
    world.clock.auto_advance_up_to(Duration::from_secs(5));
    let body = json!({"rollback": {"snapshot_id": snapshot}});
    let answer = world.post(&format!("/volume/{volume}/action"), body).await;
    world.clock.auto_advance(false);
    assert_eq!(answer.refused().0, 503);
    let status = || world.hand.with(|things| things.volumes[&volume].volume.status.clone());
    assert_eq!((world.hand.bytes(&volume).as_str(), status().as_str()), ("one", "attaching"));
    world.hand.with(|things| things.held = false);
    world.ordered().await;
    assert_eq!(status(), "available");
    let asked = world.hand.with(|things| things.asked.iter().filter(|asked| asked.starts_with("rollback")).count());
    assert_eq!((asked, world.dialect.inner.rollbacks().await.unwrap()), (1, Vec::new()));
}

#[tokio::test]
async fn a_volume_into_which_all_came_before_a_crash_is_given_to_its_user() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({})).await;
    world.close_gate();
    let answer = world.post("/volume", json!({"volume": {"backup_id": id}})).await;
    assert_eq!(answer.code(), 201, "{answer:?}");
    world.at_gate(1).await;
    let made = world.dialect.inner.restores(None).await.unwrap().remove(0).volume_id.unwrap();
    world.kill();
    world.hand.with(|things| things.volumes.get_mut(&made).unwrap().restored = true);
    let world = world.restart().await;
    world.open_gate();
    world.ordered().await;
    let status = world.hand.with(|things| things.volumes.get(&made).map(|made| made.volume.status.clone()));
    assert_eq!(status.as_deref(), Some("available"));
}

#[tokio::test]
async fn an_update_beside_another_is_refused_and_leaves_it_running() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({"incremental": true})).await;
    world.close_gate();
    let path = format!("/volume/backup/{id}/action");
    let update = || world.post(&path, json!({"update": {}}));
    let lock = world.dialect.inner.lock_project("demo").await.ok().unwrap();
    let free = async {
        // Both have looked at the backup by now, or soon.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        drop(lock);
    };
    let (one, other, ()) = tokio::join!(update(), update(), free);
    let mut codes = [one.code(), other.code()];
    codes.sort_unstable();
    assert_eq!(codes, [201, 409]);
    world.at_gate(1).await;
    assert!(world.dialect.inner.is_live(&id));
    // It can be cancelled still.
    world.delete(&format!("/volume/backup/{id}")).await.id("backup");
    world.gone(&format!("/volume/backup/{id}")).await;
}

#[tokio::test]
async fn while_a_record_cannot_be_read_nothing_is_removed_from_the_cloud() {
    let world = World::new().await;
    let volume = world.hand.volume("demo", "data", "one");
    let id = world.backed_up(&volume, json!({"incremental": true})).await;
    let key = record::<VolumeBackup>(&world, &id).await.unwrap().key();
    let newer = Bytes::from_static(br#"{"id": "of a newer version"}"#);
    assert!(world.state.compare_and_set(&key, Expected::Any, Some(newer)).await.unwrap());
    let error = world.dialect.inner.put_in_order(true).await.unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
    assert_eq!(world.hand.ours().len(), 1);
}
