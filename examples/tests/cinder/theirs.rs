//! Cinder's own backups, found in Swift, verified and restored by us; and chains of theirs and ours.

use std::sync::Arc;

use backup_core::repository::{State, VerifyLevel};
use backup_core::{BackupId, Environment, Repository};
use backup_sources::cinder::naming::CinderNaming;
use serde_json::{Value, json};

use crate::openstack::{OpenStack, id_of};
use crate::place::{GIB, MIB, Place, fill};

/// A repository that sees what Cinder left in its container, of one volume.
async fn beside(stack: &OpenStack, what: &str, volume: &str) -> Place {
    let mut place = Place::swift(stack, what).await;
    let naming = CinderNaming::in_bucket(Arc::clone(&Environment::default().clock));
    place.repository = Repository::builder(Arc::clone(place.repository.store())).naming(Arc::new(naming)).build();
    place.set = CinderNaming::set(volume).unwrap();
    place
}

/// A backup by Cinder in the container of the place.
async fn theirs(place: &Place, volume: &str, incremental: bool) -> String {
    let wanted = json!({ "volume_id": volume, "incremental": incremental, "force": true, "container": place.container });
    let id = id_of(&place.demo.post("/backups", json!({ "backup": wanted })).await);
    let made = place.demo.until(&format!("/backups/{id}"), "available").await;
    assert_eq!(made["is_incremental"], json!(incremental), "{made}");
    id
}

/// Our id of the backup that Cinder knows by another one.
async fn ours(place: &Place, theirs: &str) -> BackupId {
    for info in place.repository.list(&place.cx(), &place.set).await.unwrap() {
        assert!(matches!(info.state, State::Published | State::Adopted), "{info:?}");
        let backup = place.repository.open(&place.cx(), &place.set, &info.id).await.unwrap();
        let integrity = backup_core::source::BackupReader::manifest(&backup).source.integrity.clone();
        if integrity.unwrap_or(Value::Null)["backup-id"] == json!(theirs) {
            return info.id.clone();
        }
    }
    panic!("{theirs} is not listed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cinders_own_backups_are_found_verified_and_restored_by_us() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let demo = stack.as_demo().await;
    let volume = demo.volume("rbd1", 1).await;
    let image = stack.image(&volume);
    let place = beside(&stack, "theirs", &volume).await;
    let source = place.source(place.rbd());
    fill(&stack, &volume, &[(0, 10 * MIB, 1), (400 * MIB + 99, 8 * MIB, 2), (GIB - MIB, MIB, 3)]).await;
    let first = stack.digest(&image).await;
    let full = theirs(&place, &volume, false).await;
    fill(&stack, &volume, &[(3 * MIB, 4096, 4), (800 * MIB, 2 * MIB, 5)]).await;
    let second = stack.digest(&image).await;
    let increment = theirs(&place, &volume, true).await;

    let listed = place.repository.list(&place.cx(), &place.set).await.unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
    for (id, digest) in [(&full, first), (&increment, second)] {
        let id = ours(&place, id).await;
        let report = place.repository.verify(&place.cx(), &place.set, &id, VerifyLevel::Restorable, Some(&source)).await.unwrap();
        assert!(report.is_good(), "{report:?}");
        assert_eq!(place.restored(&source, &id).await, digest, "{id}");
    }
    // Into a new volume, with its name.
    let id = ours(&place, &increment).await;
    let made = place.restore(&source, &id, json!({ "new": { "size": 1, "volume-type": "rbd1" } })).await.unwrap();
    let made = made.details["volume-id"].as_str().unwrap().to_owned();
    assert_eq!(stack.digest(&stack.image(&made)).await, second);
    assert_eq!(demo.get(&format!("/volumes/{made}")).await.unwrap()["name"], json!("of a test"));
    place.nothing_left(&made).await;

    // Cinder still restores them beside what we noted.
    demo.restore(&increment, &made).await;
    assert_eq!(stack.digest(&stack.image(&made)).await, second, "Cinder no longer restores its own");
    for backup in [&increment, &full] {
        demo.remove(&format!("/backups/{backup}")).await;
    }
    place.remove(&[&volume, &made]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn theirs_build_on_ours_and_ours_on_theirs() {
    let Some(stack) = OpenStack::wanted().await else { return };
    let demo = stack.as_demo().await;
    let volume = demo.volume("rbd1", 1).await;
    let image = stack.image(&volume);
    let place = beside(&stack, "mixed", &volume).await;
    let source = place.source(place.rbd()).volume(&volume).unwrap();
    fill(&stack, &volume, &[(0, 6 * MIB, 1), (200 * MIB, 5 * MIB, 2)]).await;
    let full = place.backup(&source, &[]).await.unwrap();
    place.import(&full).await;
    fill(&stack, &volume, &[(MIB, 4096, 3), (500 * MIB, MIB, 4)]).await;
    let (expected, middle) = (stack.digest(&image).await, theirs(&place, &volume, true).await);
    let middle_here = ours(&place, &middle).await;
    assert_eq!(place.restored(&source, &middle_here).await, expected, "theirs on ours");

    fill(&stack, &volume, &[(200 * MIB, 100, 5), (GIB - 1, 1, 6)]).await;
    let expected = stack.digest(&image).await;
    let parent = place.repository.open(&place.cx(), &place.set, &middle_here).await.unwrap();
    let next = source.incremental(Arc::new(parent), None).unwrap();
    let request = backup_core::BackupRequest::new(place.set.clone()).parents(vec![middle_here]);
    let last = place.repository.backup(&place.cx(), &next, &request).await.unwrap().backup().id.clone();
    assert_eq!(place.restored(&source, &last).await, expected, "ours on theirs on ours, by us");
    let reader = place.repository.open(&place.cx(), &place.set, &last).await.unwrap();
    let (service, url) = backup_sources::cinder::format::Record::of(&place.cx(), &reader).await.unwrap().encode().unwrap();
    let imported = stack.as_admin().await.import(&service, &url).await;
    let made = demo.volume("rbd1", 1).await;
    demo.restore(&imported, &made).await;
    assert_eq!(stack.digest(&stack.image(&made)).await, expected, "ours on theirs on ours, by Cinder");
    place.nothing_left(&volume).await;
    for backup in [&imported, &middle, &full.written.backup_id] {
        demo.remove(&format!("/backups/{backup}")).await;
    }
    place.remove(&[&volume, &made]).await;
}
