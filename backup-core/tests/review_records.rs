//! Records that lie, records of a newer version, and records that move while they are read.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use backup_core::naming::{Adoptable, NameRequest, Naming};
use backup_core::record::{self, IntendedArtifact, Intent, Record, Tombstone};
use backup_core::repository::{State, VerifyLevel};
use backup_core::retention::RetentionPolicy;
use backup_core::testkit::{Fault, FaultPlan, FaultRule, OpKind};
use backup_core::{
    BackupId, Compression, Digest, JobId, KeyPrefix, Manifest, ObjectKey, ObjectMeta, Repository, Result, SetName,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use support::{Data, GRACE, TTL, World, bytes};

const OTHER: &str = "20260101T000000000Z-00000000";

fn data() -> Data {
    Data::new(&[("a", bytes(1000, 1))])
}

async fn back_up(world: &World) -> BackupId {
    world.clock.advance(Duration::from_secs(60));
    world.repository.backup(&world.cx(), &data(), &world.request()).await.unwrap().backup().id.clone()
}

/// What `record` would be if a newer version had written it.
fn newer<R: Record>(record: &R) -> Vec<u8> {
    #[derive(Serialize, Deserialize)]
    struct Any(Map<String, Value>);
    impl Record for Any {
        const FORMAT: &'static str = "0123456789abcdef";
        const VERSION: u64 = 999;
    }
    let Value::Object(members) = serde_json::to_value(record).unwrap() else { panic!("a record is an object") };
    let sealed = String::from_utf8(record::seal(&Any(members)).unwrap().to_vec()).unwrap();
    let mut text = sealed.replace(Any::FORMAT, R::FORMAT);
    let digits = text.find("sha256:").unwrap() + 7;
    text.replace_range(digits..digits + 64, &"0".repeat(64));
    let digest = Digest::of(text.as_bytes()).to_string();
    text.replace_range(digits..digits + 64, &digest);
    assert_eq!(record::open::<R>(text.as_bytes()).map(drop).unwrap_err().code().name, "record.unsupported");
    text.into_bytes()
}

fn intent(world: &World, id: &str, artifacts: Vec<IntendedArtifact>, parents: Vec<BackupId>) -> Intent {
    let now = world.cx().clock().now();
    Intent {
        set: world.set.clone(),
        id: id.parse().unwrap(),
        job: JobId::new("0".repeat(32)).unwrap(),
        manifest: ObjectKey::new(format!(".backup/sets/{}/{id}.json", world.set)).unwrap(),
        prefix: KeyPrefix::new(format!("{}/{id}", world.set)).unwrap(),
        artifacts,
        parents,
        created_at: now,
        expires_at: now,
        generation: 0,
    }
}

fn tombstone(world: &World, id: &str, prefix: &str, artifacts: &[&str]) -> Tombstone {
    Tombstone {
        set: world.set.clone(),
        id: id.parse().unwrap(),
        reason: "a lie".into(),
        created_at: world.cx().clock().now(),
        prefix: KeyPrefix::new(prefix).unwrap(),
        artifacts: artifacts.iter().map(|key| ObjectKey::new(*key).unwrap()).collect(),
        adopted: false,
    }
}

async fn janitor_much_later(world: &World) -> Vec<String> {
    world.clock.advance(TTL * 2 + GRACE * 4);
    let report = world.repository.janitor(&world.cx()).await.unwrap();
    report.problems.iter().map(|problem| problem.code().name.to_owned()).collect()
}

#[tokio::test]
async fn the_janitor_removes_nothing_that_a_lying_record_claims() {
    let world = World::new(1);
    let id = back_up(&world).await;
    let mine = format!("{}/{OTHER}", world.set);
    let stolen = format!("{}/{id}/a", world.set);
    let manifest = format!(".backup/sets/{}/{id}.json", world.set);
    let claim =
        |key: &str| IntendedArtifact { key: ObjectKey::new(key).unwrap(), size: 1000, sha256: Digest::of(&bytes(1000, 1)) };
    let whole = intent(&world, OTHER, vec![], vec![]);
    let lies = [
        record::seal(&tombstone(&world, OTHER, "", &[])).unwrap(),
        record::seal(&tombstone(&world, OTHER, world.set.as_str(), &[])).unwrap(),
        record::seal(&tombstone(&world, OTHER, &mine, &[&stolen])).unwrap(),
        record::seal(&tombstone(&world, OTHER, &mine, &[&manifest])).unwrap(),
        record::seal(&tombstone(&world, id.as_str(), &format!("{}/{id}", world.set), &[])).unwrap(),
        record::seal(&Intent { prefix: KeyPrefix::root(), ..whole.clone() }).unwrap(),
        record::seal(&intent(&world, OTHER, vec![claim(&stolen)], vec![])).unwrap(),
        record::seal(&Intent { id: id.clone(), ..whole }).unwrap(),
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let place = if number < 5 { "tombstones" } else { "intents" };
        let rest = if number < 5 { "" } else { ".00000000" };
        let key = format!(".backup/{place}/{}/{OTHER}{rest}.json", world.set);
        world.store.raw_put(&key, lie);
        assert_eq!(janitor_much_later(&world).await, ["record.corrupt"], "lie {number}");
        assert_eq!(world.restore_all().await, vec![data().content()], "lie {number}");
        world.store.raw_delete(&key);
    }
}

#[tokio::test]
async fn a_manifest_that_claims_the_objects_of_others_is_damaged_and_removes_none_of_them() {
    let world = World::new(2);
    let first = back_up(&world).await;
    let second = back_up(&world).await;
    back_up(&world).await;
    let key = format!(".backup/sets/{}/{first}.json", world.set);
    let mut manifest = Manifest::open(&world.store.raw_get(&key).unwrap()).unwrap();
    let stolen = format!("{}/{second}/a", world.set);
    manifest.artifacts[0].key = ObjectKey::new(stolen.clone()).unwrap();
    world.store.raw_put(&key, record::seal(&manifest).unwrap());
    let listed = world.repository.get(&world.cx(), &world.set, &first).await.unwrap();
    assert!(matches!(listed.state, State::Damaged(_)), "{listed:?}");
    world.repository.delete(&world.cx(), &world.set, &first).await.unwrap();
    assert!(world.store.raw_get(&stolen).is_some());
}

#[test]
fn a_set_cannot_lie_within_a_backup_of_another() {
    assert!(SetName::new(format!("etcd/{OTHER}")).is_err());
    assert!(SetName::new(format!("etcd/{OTHER}.json/x")).is_err());
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_left_alone_with_all_it_needs() {
    let world = World::new(3);
    let (parent, future) = (back_up(&world).await, back_up(&world).await);
    let key = format!(".backup/sets/{}/{future}.json", world.set);
    let mut manifest = Manifest::open(&world.store.raw_get(&key).unwrap()).unwrap();
    manifest.parents = vec![parent.clone()];
    world.store.raw_put(&key, newer(&manifest));
    let world = world.after_crash(1);
    let newest = back_up(&world).await;
    let policy = RetentionPolicy::default().keep_last(1);
    let plan = world.repository.plan(&world.cx(), &world.set, &policy).await.unwrap();
    let report = world.repository.prune(&world.cx(), &world.set, &plan).await.unwrap();
    assert!(report.removed.is_empty(), "{report:?}");
    for id in [&parent, &future] {
        let error = world.repository.delete(&world.cx(), &world.set, id).await.unwrap_err();
        assert_eq!(error.code().name, "backup.not_removable");
    }
    assert_eq!(world.repository.latest(&world.cx(), &world.set).await.unwrap().unwrap().id, newest);
}

#[tokio::test]
async fn an_intent_of_a_newer_version_is_never_taken_for_nothing() {
    let world = World::new(4);
    let (parent, _) = (back_up(&world).await, back_up(&world).await);
    let key = format!(".backup/intents/{}/{OTHER}.00000001.json", world.set);
    // Its older generation can be read, and has run out long ago.
    let old = intent(&world, OTHER, vec![], vec![]);
    world.store.raw_put(&format!(".backup/intents/{}/{OTHER}.00000000.json", world.set), record::seal(&old).unwrap());
    world.store.raw_put(&key, newer(&intent(&world, OTHER, vec![], vec![parent.clone()])));
    let policy = RetentionPolicy::default().keep_last(1);
    let error = world.repository.plan(&world.cx(), &world.set, &policy).await.unwrap_err();
    assert_eq!(error.code().name, "record.unsupported");
    world.repository.delete(&world.cx(), &world.set, &parent).await.unwrap_err();
    assert!(!world.store.keys().iter().any(|key| key.starts_with(".backup/tombstones/")));
    assert_eq!(world.restore_all().await.len(), 2);

    assert_eq!(janitor_much_later(&world).await, ["record.unsupported"]);
    assert!(world.store.raw_get(&key).is_some());
    assert!(world.store.raw_get(&format!(".backup/sets/{}/{OTHER}.json", world.set)).is_none(), "it was given up");
}

#[tokio::test]
async fn a_job_of_a_newer_version_keeps_its_unfinished_writes() {
    let world = World::new(5);
    let options = backup_core::store::WriteOptions::new(JobId::new("1".repeat(32)).unwrap());
    let writer = backup_core::Store::writer(&world.store, &world.cx(), &ObjectKey::new("x/y").unwrap(), options).await.unwrap();
    let mine = Intent { job: JobId::new("1".repeat(32)).unwrap(), ..intent(&world, OTHER, vec![], vec![]) };
    world.store.raw_put(&format!(".backup/intents/{}/{OTHER}.00000000.json", world.set), newer(&mine));
    janitor_much_later(&world).await;
    assert_eq!(world.store.unfinished(), 1);
    drop(writer);
}

#[tokio::test]
async fn an_object_too_big_for_a_manifest_damages_one_backup_and_not_the_set() {
    let world = World::new(6);
    let id = back_up(&world).await;
    world.store.raw_put(&format!(".backup/sets/{}/{OTHER}.json", world.set), vec![b'{'; (512 << 20) + 1]);
    let listed = world.repository.list(&world.cx(), &world.set).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(matches!(listed[0].state, State::Damaged(_)));
    assert_eq!(world.repository.latest(&world.cx(), &world.set).await.unwrap().unwrap().id, id);
}

#[tokio::test]
async fn times_at_the_end_of_the_calendar_and_settings_without_end_do_not_panic() {
    let world = World::new(7);
    let mut late = intent(&world, OTHER, vec![], vec![]);
    late.expires_at = chrono::DateTime::<chrono::Utc>::MAX_UTC - chrono::TimeDelta::minutes(1);
    let key = format!(".backup/intents/{}/{OTHER}.00000000.json", world.set);
    world.store.raw_put(&key, record::seal(&late).unwrap());
    janitor_much_later(&world).await;
    let endless = Repository::builder(Arc::new(world.store.clone()))
        .environment(world.cx().environment().clone())
        .intent_ttl(Duration::MAX)
        .grace(Duration::MAX)
        .build();
    endless.backup(&endless.context(), &data(), &world.request()).await.unwrap();
    let _ = endless.janitor(&endless.context()).await.unwrap();
}

#[tokio::test]
async fn a_backup_is_not_built_on_a_parent_that_is_going_or_gone() {
    let world = World::new(8);
    let (parent, _) = (back_up(&world).await, back_up(&world).await);
    let request = world.request().parents(vec![parent.clone()]);
    let error = |world: &World| {
        let (repository, cx, request) = (world.repository.clone(), world.cx(), request.clone());
        async move { repository.backup(&cx, &data(), &request).await.unwrap_err() }
    };
    let key = format!(".backup/tombstones/{}/{parent}.json", world.set);
    let prefix = format!("{}/{parent}", world.set);
    world.store.raw_put(&key, record::seal(&tombstone(&world, parent.as_str(), &prefix, &[])).unwrap());
    assert_eq!(error(&world).await.retry(), backup_core::Retry::Later);
    world.store.raw_delete(&key);
    world.repository.delete(&world.cx(), &world.set, &parent).await.unwrap();
    assert_eq!(error(&world).await.code().name, "backup.not_found");
    assert_eq!(world.orphans().await, Vec::<String>::new());
}

/// `files/<name>.dump`, of ours and of another program.
#[derive(Debug)]
struct Dumps;

impl Naming for Dumps {
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey> {
        ObjectKey::new(format!("files/{}{}.dump", request.artifact, request.attempt))
    }
    fn adoptable_prefix(&self, _: &SetName) -> Option<KeyPrefix> {
        KeyPrefix::new("files").ok()
    }
    fn adopt(&self, _: &SetName, object: &ObjectMeta) -> Option<Adoptable> {
        Some(Adoptable {
            artifact: "dump".parse().ok()?,
            compression: Compression::None,
            created_at: object.modified?,
            order: None,
            revision: None,
            version: None,
            group: None,
        })
    }
}

fn adopting(world: World) -> World {
    let repository = Repository::builder(Arc::new(world.store.clone()))
        .environment(world.cx().environment().clone())
        .intent_ttl(TTL)
        .grace(GRACE)
        .naming(Arc::new(Dumps))
        .build();
    World { repository, ..world }
}

#[tokio::test]
async fn a_file_that_is_removed_while_it_is_adopted_does_not_become_a_backup_without_data() {
    let world = adopting(World::new(9));
    world.store.raw_put("files/old.dump", bytes(500, 2));
    back_up(&world).await;
    let old = world.repository.list(&world.cx(), &world.set).await.unwrap()[0].clone();
    assert_eq!(old.state, State::Adopted);
    let sleep = FaultRule::new(Fault::SleepPast(Duration::from_secs(600)));
    world
        .store
        .set_faults(FaultPlan::seeded(1).rule(sleep.on([OpKind::Put]).key(|key| key.starts_with(".backup/sets/")).first(1)));
    let verify = {
        let (repository, cx, set, id) = (world.repository.clone(), world.cx(), world.set.clone(), old.id.clone());
        tokio::spawn(async move { repository.verify(&cx, &set, &id, VerifyLevel::Digest, None).await })
    };
    world.clock.wait_for_sleepers(1).await;
    let other = adopting(world.beside(1));
    other.repository.delete(&other.cx(), &other.set, &old.id).await.unwrap();
    world.clock.pass(Duration::from_secs(600)).await;
    assert_eq!(verify.await.unwrap().unwrap_err().code().name, "backup.not_found");
    let listed = other.repository.list(&other.cx(), &other.set).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_now_does_not_turn_its_files_into_foreign_ones() {
    let world = adopting(World::new(10));
    back_up(&world).await;
    let fresh = adopting(world.beside(2));
    fresh.repository.latest(&fresh.cx(), &fresh.set).await.unwrap();
    // The second read of the same call fails: the one that looks for names.
    let two = Data::new(&[("a", bytes(10, 1)), ("b", bytes(10, 2))]);
    world.repository.backup(&world.cx(), &two, &world.request()).await.unwrap();
    for nth in 1..=4 {
        let fresh = adopting(world.beside(2 + nth));
        let rule = FaultRule::new(Fault::ErrorBefore(&backup_core::error::codes::STORE_UNAVAILABLE));
        let rule = rule.on([OpKind::Read]).key(|key| key.starts_with(".backup/sets/")).nth(nth);
        world.store.set_faults(FaultPlan::seeded(1).rule(rule));
        if let Ok(listed) = fresh.repository.list(&fresh.cx(), &fresh.set).await {
            assert!(listed.iter().all(|info| info.state == State::Published), "read {nth}: {listed:?}");
        }
    }
}

#[tokio::test]
async fn an_intent_that_is_renewed_while_it_is_read_is_still_seen() {
    let world = World::new(11);
    let (parent, _) = (back_up(&world).await, back_up(&world).await);
    let key = |generation: u64| format!(".backup/intents/{}/{OTHER}.{generation:08}.json", world.set);
    let live = |generation| {
        let intent = Intent { generation, ..intent(&world, OTHER, vec![], vec![parent.clone()]) };
        record::seal(&intent).unwrap()
    };
    world.store.raw_put(&key(0), live(0));
    // The read of the listed generation waits until the renewal is over.
    let sleep = FaultRule::new(Fault::SleepPast(Duration::from_secs(600)));
    let rule = sleep.on([OpKind::Read]).key(|key| key.starts_with(".backup/intents/")).first(1);
    world.store.set_faults(FaultPlan::seeded(1).rule(rule));
    let delete = {
        let (repository, cx, set, id) = (world.repository.clone(), world.cx(), world.set.clone(), parent.clone());
        tokio::spawn(async move { repository.delete(&cx, &set, &id).await })
    };
    world.clock.wait_for_sleepers(1).await;
    world.store.raw_put(&key(1), live(1));
    world.store.raw_delete(&key(0));
    world.clock.pass(Duration::from_secs(600)).await;
    assert_eq!(delete.await.unwrap().unwrap_err().code().name, "backup.not_removable");
}

#[tokio::test]
async fn a_pin_that_comes_during_a_removal_is_not_reported_as_good() {
    let world = World::new(12);
    let (first, _) = (back_up(&world).await, back_up(&world).await);
    // The removal has looked for pins and waits before it removes the manifest.
    let sleep = FaultRule::new(Fault::SleepPast(Duration::from_secs(600)));
    let rule = sleep.on([OpKind::Delete]).key(|key| key.starts_with(".backup/sets/")).first(1);
    world.store.set_faults(FaultPlan::seeded(1).rule(rule));
    let delete = {
        let (repository, cx, set, id) = (world.repository.clone(), world.cx(), world.set.clone(), first.clone());
        tokio::spawn(async move { repository.delete(&cx, &set, &id).await })
    };
    world.clock.wait_for_sleepers(1).await;
    let other = world.beside(3);
    let error = other.repository.pin(&other.cx(), &world.set, &first, "too late").await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("lease.busy", backup_core::Effect::Unknown));
    world.clock.pass(Duration::from_secs(600)).await;
    delete.await.unwrap().unwrap();
    assert!(!world.store.keys().iter().any(|key| key.contains(first.as_str())));
}

/// One key for all artifacts, until it is asked again.
#[derive(Debug)]
struct Careless;

impl Naming for Careless {
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey> {
        backup_core::naming::own_prefix(request.set, request.id)?.key(&format!("dump.{}", request.attempt))
    }
}

#[tokio::test]
async fn two_artifacts_of_one_key_under_the_own_prefix_get_two_objects() {
    let world = World::new(13);
    world.store.without_conditional_create();
    let repository = Repository::builder(Arc::new(world.store.clone()))
        .environment(world.cx().environment().clone())
        .naming(Arc::new(Careless))
        .build();
    let world = World { repository, ..world };
    let two = Data::new(&[("a", bytes(10, 1)), ("b", bytes(10, 2))]);
    world.repository.backup(&world.cx(), &two, &world.request()).await.unwrap();
    assert_eq!(world.restore_all().await, vec![two.content()]);
}

#[tokio::test]
async fn a_foreign_file_does_not_make_every_listing_read_every_manifest() {
    let world = adopting(World::new(14));
    for _ in 0..3 {
        back_up(&world).await;
    }
    world.store.raw_put("files/old.dump", bytes(500, 2));
    assert_eq!(world.repository.list(&world.cx(), &world.set).await.unwrap().len(), 4);
    world.store.clear_trace();
    assert_eq!(world.repository.list(&world.cx(), &world.set).await.unwrap().len(), 4);
    assert_eq!(world.store.count(OpKind::Read), 0);
}
