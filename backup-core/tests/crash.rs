//! The process dies at every single store operation, before and after its effect; then the promises are looked at.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use backup_core::error::codes;
use backup_core::repository::DeleteOptions;
use backup_core::testkit::{CrashMode, Op, OpKind};
use backup_core::{BackupId, Compression, JobContext, Revision};
use support::{Data, World, bytes};

const MODES: [CrashMode; 2] = [CrashMode::BeforeEffect, CrashMode::AfterEffect];

fn data() -> Data {
    Data::new(&[("a", bytes(100_000, 1)), ("b", vec![3; 10])]).at(Revision::exact(5))
}

/// How many operations a first backup, then whatever `then` does, takes.
async fn operations(seed: u64, then: impl AsyncFn(&World)) -> (u64, u64) {
    let world = World::new(seed);
    world.repository.backup(&world.cx(), &data(), &world.request()).await.unwrap();
    let before = world.store.op_count();
    then(&world).await;
    (before, world.store.op_count())
}

async fn check_promises(world: &World, step: u64, mode: CrashMode, at_least: usize) {
    let restored = world.restore_all().await;
    assert!(restored.len() >= at_least, "step {step} {mode:?}: a published backup was lost");
    for backup in &restored {
        assert_eq!(*backup, data().content(), "step {step} {mode:?}");
    }
    world.janitor_to_the_end().await;
    assert_eq!(world.orphans().await, Vec::<String>::new(), "step {step} {mode:?}: left over");
    assert_eq!(world.store.unfinished(), 0, "step {step} {mode:?}: unfinished writes left");
    assert_eq!(world.restore_all().await.len(), restored.len(), "step {step} {mode:?}: the janitor ate a backup or made one");
    world.repository.backup(&world.cx(), &data(), &world.request()).await.unwrap();
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_backup_loses_nothing_and_shows_nothing_half_done() {
    let gzip = |world: &World| world.request().compression(Compression::Gzip, Some(1));
    let (before, after) =
        operations(1, async |world| drop(world.repository.backup(&world.cx(), &data(), &gzip(world)).await.unwrap())).await;
    assert!(after - before > 10, "the second backup took only {} operations", after - before);
    for (step, mode) in (before + 1..=after + 1).flat_map(|step| MODES.map(|mode| (step, mode))) {
        let world = World::new(1);
        world.repository.backup(&world.cx(), &data(), &world.request()).await.unwrap();
        world.store.crash_at(step, mode);
        let outcome = world.repository.backup(&world.cx(), &data(), &gzip(&world)).await;
        let world = world.after_crash(step);
        // Told "good" means published.
        check_promises(&world, step, mode, if outcome.is_ok() { 2 } else { 1 }).await;
    }
}

/// A backup with a parent whose process died as its manifest was put: the parent, and the job.
async fn killed_at_the_manifest(mode: CrashMode) -> (World, BackupId, JobContext) {
    let begun = async || {
        let world = World::new(3);
        let parent = world.repository.backup(&world.cx(), &data(), &world.request()).await.unwrap().backup().id.clone();
        (world.request().parents(vec![parent.clone()]), world, parent)
    };
    // Worlds of one seed go the same way.
    let (request, other, _) = begun().await;
    other.repository.backup(&other.cx(), &data(), &request).await.unwrap();
    let puts_manifest = |op: &&Op| op.kind == OpKind::Put && op.key.starts_with(".backup/sets/");
    let manifest_put = other.store.trace().iter().rfind(puts_manifest).unwrap().number;

    let (request, world, parent) = begun().await;
    world.store.crash_at(manifest_put, mode);
    let job = world.cx();
    world.repository.backup(&job, &data(), &request).await.unwrap_err();
    (world.after_crash(9), parent, job)
}

#[tokio::test]
async fn a_backup_whose_writer_died_right_after_it_was_published_keeps_no_parent_once_it_is_removed() {
    let (world, parent, _) = killed_at_the_manifest(CrashMode::AfterEffect).await;
    let backups = world.repository.list(&world.cx(), &world.set).await.unwrap();
    let child = backups.iter().map(|info| info.id.clone()).find(|id| *id != parent).unwrap();
    for id in [child, parent] {
        let options = DeleteOptions::default().even_newest();
        world.repository.delete_with(&world.cx(), &world.set, &id, options).await.unwrap();
    }
    assert_eq!(world.orphans().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_dead_job_was_making_needs_nothing_and_is_never_published_once_it_is_given_up() {
    let (world, parent, job) = killed_at_the_manifest(CrashMode::BeforeEffect).await;
    let delete = async || {
        let options = DeleteOptions::default().even_newest();
        world.repository.delete_with(&world.cx(), &world.set, &parent, options).await
    };
    let refused = delete().await.unwrap_err();
    assert_eq!(*refused.code(), codes::BACKUP_NOT_REMOVABLE, "{refused}");
    // Of another job nothing is given up.
    assert!(world.repository.give_up(&world.cx(), &world.set, world.cx().job()).await.unwrap());
    delete().await.unwrap_err();
    for _ in 0..2 {
        assert!(world.repository.give_up(&world.cx(), &world.set, job.job()).await.unwrap());
    }
    delete().await.unwrap();
    assert!(world.restore_all().await.is_empty());
    world.janitor_to_the_end().await;
    assert_eq!(world.orphans().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_crash_at_any_step_of_the_janitor_is_taken_up_by_the_next_one() {
    // What the janitor finds: a backup that died just before its manifest.
    let broken = async || {
        let world = World::new(2);
        world.repository.backup(&world.cx(), &data(), &world.request()).await.unwrap();
        // Worlds of one seed go the same way, so another one tells at which operation the manifest is put.
        let other = World::new(2);
        for _ in 0..2 {
            other.repository.backup(&other.cx(), &data(), &other.request()).await.unwrap();
        }
        let puts_manifest = |op: &&Op| op.kind == OpKind::Put && op.key.starts_with(".backup/sets/");
        let manifest_put = other.store.trace().iter().rfind(puts_manifest).unwrap().number;
        world.store.crash_at(manifest_put, CrashMode::BeforeEffect);
        world.repository.backup(&world.cx(), &data(), &world.request()).await.unwrap_err();
        let world = world.after_crash(9);
        assert!(!world.orphans().await.is_empty(), "the janitor has nothing to do in this test");
        world.clock.advance(support::TTL + support::GRACE * 2);
        world
    };
    let world = broken().await;
    let before = world.store.op_count();
    let report = world.repository.janitor(&world.cx()).await.unwrap();
    assert_eq!(report.aborted.len(), 1);
    for (step, mode) in (before + 1..=world.store.op_count()).flat_map(|step| MODES.map(|mode| (step, mode))) {
        let world = broken().await;
        world.store.crash_at(step, mode);
        let _ = world.repository.janitor(&world.cx()).await;
        check_promises(&world.after_crash(step), step, mode, 1).await;
    }
}
