//! A naming of a dialect's own, files that another program left, and names that are taken.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;

use backup_core::error::codes;
use backup_core::naming::{Adoptable, NameRequest, Naming};
use backup_core::repository::{State, VerifyLevel};
use backup_core::retention::RetentionPolicy;
use backup_core::service::{BackupService, Target};
use backup_core::source::BackupReader;
use backup_core::testkit::{CrashMode, Fault, FaultPlan, FaultRule, MemoryState, OpKind};
use backup_core::{Certainty, Compression, KeyPrefix, ObjectKey, ObjectMeta, Position, Result, Revision, SetName};
use support::{Data, World, bytes, read};

/// `files/<revision>.dump`, the next attempts `files/<revision>+<n>.dump`.
#[derive(Debug)]
struct Dumps;

impl Naming for Dumps {
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey> {
        let revision = request.probe.revision.as_ref().map_or(0, |revision| match revision.position {
            Position::Number(number) => number,
            _ => 0,
        });
        let again = if request.attempt > 1 { format!("+{}", request.attempt) } else { String::new() };
        ObjectKey::new(format!("files/{revision}{again}.dump"))
    }

    fn adoptable_prefix(&self, _: &SetName) -> Option<KeyPrefix> {
        KeyPrefix::new("files").ok()
    }

    fn adopt(&self, _: &SetName, object: &ObjectMeta) -> Option<Adoptable> {
        let (number, _) = object
            .key
            .file_name()
            .strip_suffix(".dump")?
            .split_once('+')
            .unwrap_or((object.key.file_name().strip_suffix(".dump")?, ""));
        Some(Adoptable {
            artifact: "dump".parse().ok()?,
            compression: Compression::None,
            created_at: object.modified?,
            order: None,
            revision: Some(Revision::exact(number.parse().ok()?)),
            version: None,
            group: None,
        })
    }
}

fn world(seed: u64) -> World {
    let world = World::new(seed);
    with_dumps(world)
}

fn with_dumps(world: World) -> World {
    let repository = backup_core::Repository::builder(Arc::new(world.store.clone()))
        .environment(world.cx().environment().clone())
        .intent_ttl(support::TTL)
        .grace(support::GRACE)
        .naming(Arc::new(Dumps))
        .build();
    World { repository, ..world }
}

fn data() -> Data {
    Data::new(&[("dump", bytes(10_000, 3))]).at(Revision::exact(7))
}

#[tokio::test]
async fn a_taken_name_is_left_alone_and_the_next_one_used() {
    let world = world(1);
    world.store.raw_put("files/7.dump", &b"of another program"[..]);
    world.clock.advance(std::time::Duration::from_secs(60));
    let outcome = world.repository.backup(&world.cx(), &data(), &world.request()).await.unwrap();
    assert_eq!(outcome.backup().first_key.as_ref().unwrap().as_str(), "files/7+2.dump");
    assert_eq!(world.store.raw_get("files/7.dump").unwrap(), &b"of another program"[..]);
    let listed = world.repository.list(&world.cx(), &world.set).await.unwrap();
    let states: Vec<_> = listed.iter().map(|info| (info.state.clone(), info.first_key.as_ref().unwrap().to_string())).collect();
    assert_eq!(states, [(State::Adopted, "files/7.dump".into()), (State::Published, "files/7+2.dump".into())]);
}

#[tokio::test]
async fn an_adopted_file_is_never_unchanged_gets_digests_on_its_first_verify_and_is_rotated() {
    let world = world(2);
    world.store.raw_put("files/7.dump", bytes(5_000, 9));
    world.store.raw_put("files/notes.txt", &b"not ours"[..]);
    world.clock.advance(std::time::Duration::from_secs(60));
    let adopted = world.repository.list(&world.cx(), &world.set).await.unwrap();
    assert_eq!(adopted.len(), 1);
    assert_eq!(adopted[0].revision.as_ref().unwrap().certainty, Certainty::AtLeast);

    let outcome = world.repository.backup(&world.cx(), &data(), &world.request().skip_unchanged(None)).await.unwrap();
    assert_eq!(world.repository.list(&world.cx(), &world.set).await.unwrap().len(), 2, "{outcome:?}");

    let id = &adopted[0].id;
    let report = world.repository.verify(&world.cx(), &world.set, id, VerifyLevel::Digest, None).await.unwrap();
    assert!(report.is_good());
    let listed = world.repository.list(&world.cx(), &world.set).await.unwrap();
    assert_eq!((listed.len(), &listed[0].id, &listed[0].state), (2, id, &State::Published));
    let backup = world.repository.open(&world.cx(), &world.set, id).await.unwrap();
    assert!(backup.manifest().adopted);
    assert_eq!(read(&world.cx(), &backup, &backup.artifacts()[0]).await.unwrap(), bytes(5_000, 9));
    world.store.flip_bit("files/7.dump", 100, 0);
    let report = world.repository.verify(&world.cx(), &world.set, id, VerifyLevel::Digest, None).await.unwrap();
    assert!(!report.is_good());

    let policy = RetentionPolicy::default().keep_last(1);
    let plan = world.repository.plan(&world.cx(), &world.set, &policy).await.unwrap();
    let _ = world.repository.prune(&world.cx(), &world.set, &plan).await.unwrap();
    assert_eq!(world.store.raw_get("files/7.dump"), None);
    assert!(world.store.raw_get("files/notes.txt").is_some());
}

#[tokio::test]
async fn an_adopted_file_is_restored_where_nothing_can_be_written() {
    for code in [&codes::STORE_READ_ONLY, &codes::STORE_NO_SPACE, &codes::STORE_DENIED] {
        let world = world(4);
        world.store.raw_put("files/7.dump", bytes(5_000, 9));
        world.clock.advance(std::time::Duration::from_secs(60));
        world.store.set_faults(FaultPlan::seeded(1).rule(FaultRule::new(Fault::ErrorBefore(code)).on([OpKind::Put])));
        let id = world.repository.list(&world.cx(), &world.set).await.unwrap()[0].id.clone();
        let backup = world.repository.open(&world.cx(), &world.set, &id).await.unwrap();
        assert_eq!(read(&world.cx(), &backup, &backup.artifacts()[0]).await.unwrap(), bytes(5_000, 9));
        let listed = world.repository.list(&world.cx(), &world.set).await.unwrap();
        assert_eq!((listed.len(), &listed[0].state), (1, &State::Adopted));
    }
}

#[tokio::test]
async fn an_adopted_file_that_takes_long_to_read_is_served_all_the_same() {
    let world = world(5);
    world.store.raw_put("files/7.dump", bytes(5_000, 9));
    let long = std::time::Duration::from_secs(600);
    world.clock.advance(long);
    let sleep = FaultRule::new(Fault::SleepPast(long)).on([OpKind::Read]).key(|key: &str| key.starts_with("files/"));
    world.store.set_faults(FaultPlan::seeded(1).rule(sleep));
    let service = BackupService::builder(Arc::new(MemoryState::new())).environment(world.cx().environment().clone());
    let service = service.start().await.unwrap();
    let target = Target::without_source(world.repository.clone(), world.set.clone());
    let id = service.list(&target).await.unwrap()[0].id.clone();
    let opening = tokio::spawn(async move { service.open(&target, &id).await.map(drop) });
    for _ in 0..1000 {
        tokio::task::yield_now().await;
        if opening.is_finished() {
            break;
        }
        world.clock.advance(std::time::Duration::from_secs(30));
    }
    assert!(opening.is_finished());
    opening.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_crash_at_any_step_with_shared_names_leaves_no_orphan_and_eats_no_adopted_file() {
    let whole = world(3);
    whole.repository.backup(&whole.cx(), &data(), &whole.request()).await.unwrap();
    let before = whole.store.op_count();
    whole.repository.backup(&whole.cx(), &data(), &whole.request()).await.unwrap();
    let modes = [CrashMode::BeforeEffect, CrashMode::AfterEffect];
    for (step, mode) in (before + 1..=whole.store.op_count()).flat_map(|step| modes.map(|mode| (step, mode))) {
        let world = world(3);
        world.repository.backup(&world.cx(), &data(), &world.request()).await.unwrap();
        world.store.crash_at(step, mode);
        let outcome = world.repository.backup(&world.cx(), &data(), &world.request()).await;
        let world = with_dumps(world.after_crash(step));
        world.store.raw_put("files/3.dump", &b"of another program"[..]);
        let listed = world.repository.list(&world.cx(), &world.set).await.unwrap();
        let published = listed.iter().filter(|info| info.state == State::Published).count();
        assert!(published >= if outcome.is_ok() { 2 } else { 1 }, "step {step} {mode:?}");
        let adopted: Vec<_> =
            listed.iter().filter(|info| info.state == State::Adopted).map(|info| info.first_key.clone().unwrap()).collect();
        assert_eq!(adopted, [ObjectKey::new("files/3.dump").unwrap()], "step {step} {mode:?}: ours taken for a foreign file");
        world.janitor_to_the_end().await;
        let files: Vec<_> = world.store.keys().into_iter().filter(|key| key.starts_with("files/")).collect();
        assert_eq!(files.len(), published + 1, "step {step} {mode:?}: {files:?}");
        assert_eq!(world.store.raw_get("files/3.dump").unwrap(), &b"of another program"[..]);
    }
}

#[tokio::test]
async fn the_janitor_leaves_an_object_that_another_backup_published_under_the_name_a_dead_one_announced() {
    let first = world(4);
    // Announced, and dead before the object is there: the intent names files/7.dump with these very bytes.
    let trace = world(4);
    let _ = trace.repository.backup(&trace.cx(), &data(), &trace.request()).await.unwrap();
    let finish = trace.store.trace().iter().find(|op| op.kind == backup_core::testkit::OpKind::Finish).unwrap().number;
    first.store.crash_at(finish, CrashMode::BeforeEffect);
    assert!(first.repository.backup(&first.cx(), &data(), &first.request()).await.is_err());

    // Another process looked at the name before the announcement, and publishes the same bytes under it.
    let second = with_dumps(first.after_crash(4));
    let intents: Vec<_> = second.store.keys().into_iter().filter(|key| key.starts_with(".backup/intents/")).collect();
    let kept: Vec<_> = intents.iter().map(|key| (key.clone(), second.store.raw_get(key).unwrap())).collect();
    assert!(intents.iter().all(|key| second.store.raw_delete(key)));
    let outcome = second.repository.backup(&second.cx(), &data(), &second.request()).await.unwrap();
    kept.into_iter().for_each(|(key, bytes)| second.store.raw_put(&key, bytes));
    assert_eq!(outcome.backup().first_key.as_ref().unwrap().as_str(), "files/7.dump");

    second.janitor_to_the_end().await;
    let report = second.repository.verify(&second.cx(), &second.set, &outcome.backup().id, VerifyLevel::Digest, None).await;
    assert!(report.unwrap().is_good(), "the janitor removed a published object");
}
