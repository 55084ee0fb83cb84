//! Retention on a store: what goes, what stays, and a crash at each step of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use backup_core::BackupId;
use backup_core::error::codes;
use backup_core::repository::VerifyLevel;
use backup_core::retention::RetentionPolicy;
use backup_core::testkit::{CrashMode, Fault, FaultPlan, FaultRule, OpKind};
use support::{Data, World, bytes};

fn data() -> Data {
    Data::new(&[("a", bytes(50_000, 1)), ("b", vec![3; 10])])
}

async fn back_up(world: &World, parents: &[&BackupId]) -> BackupId {
    world.clock.advance(Duration::from_secs(60));
    let request = world.request().parents(parents.iter().map(|id| (*id).clone()).collect());
    world.repository.backup(&world.cx(), &data(), &request).await.unwrap().backup().id.clone()
}

async fn world_of(count: usize) -> (World, Vec<BackupId>) {
    let world = World::new(1);
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(back_up(&world, &[]).await);
    }
    (world, ids)
}

async fn ids(world: &World) -> Vec<BackupId> {
    world.repository.list(&world.cx(), &world.set).await.unwrap().iter().map(|info| info.id.clone()).collect()
}

fn keep_last(count: u32) -> RetentionPolicy {
    RetentionPolicy::default().keep_last(count)
}

#[tokio::test]
async fn prune_does_what_the_plan_showed_and_removes_every_object() {
    let (world, all) = world_of(4).await;
    let plan = world.repository.plan(&world.cx(), &world.set, &keep_last(2)).await.unwrap();
    assert_eq!(ids(&world).await, all, "a plan removed something");
    let report = world.repository.prune(&world.cx(), &world.set, &plan).await.unwrap();
    let mut removed = report.removed.clone();
    removed.sort();
    assert_eq!(removed, all[..2]);
    assert_eq!(ids(&world).await, all[2..]);
    assert_eq!(world.orphans().await, Vec::<String>::new());
    assert!(!world.store.keys().iter().any(|key| key.contains(all[0].as_str())), "something of a removed backup is left");
}

#[tokio::test]
async fn a_policy_without_a_rule_is_refused() {
    let (world, _) = world_of(1).await;
    for policy in [RetentionPolicy::default(), keep_last(0)] {
        let error = world.repository.plan(&world.cx(), &world.set, &policy).await.unwrap_err();
        assert_eq!(error.code().name, "retention.no_rule");
    }
}

#[tokio::test]
async fn what_came_to_be_pinned_or_needed_after_the_plan_stays() {
    let (world, all) = world_of(4).await;
    let plan = world.repository.plan(&world.cx(), &world.set, &keep_last(1)).await.unwrap();
    world.repository.pin(&world.cx(), &world.set, &all[0], "before the upgrade").await.unwrap();
    let child = back_up(&world, &[&all[1]]).await;
    let report = world.repository.prune(&world.cx(), &world.set, &plan).await.unwrap();
    assert_eq!(report.removed, [all[2].clone()]);
    assert_eq!(report.withdrawn.len(), 2, "{report:?}");
    assert_eq!(ids(&world).await, [&all[0], &all[1], &all[3], &child].map(Clone::clone));

    world.repository.unpin(&world.cx(), &world.set, &all[0]).await.unwrap();
    let plan = world.repository.plan(&world.cx(), &world.set, &keep_last(1)).await.unwrap();
    let report = world.repository.prune(&world.cx(), &world.set, &plan).await.unwrap();
    assert_eq!(ids(&world).await, [all[1].clone(), child], "{report:?}");
}

#[tokio::test]
async fn the_newest_good_backup_is_never_removed_also_when_a_damaged_one_is_newer() {
    let (world, all) = world_of(3).await;
    let newest = world.repository.manifest(&world.cx(), &world.set, &all[2]).await.unwrap();
    world.store.flip_bit(newest.artifacts[0].key.as_str(), 7, 1);
    let report = world.repository.verify(&world.cx(), &world.set, &all[2], VerifyLevel::Digest, None).await.unwrap();
    assert!(!report.is_good());
    let plan = world.repository.plan(&world.cx(), &world.set, &keep_last(1)).await.unwrap();
    let report = world.repository.prune(&world.cx(), &world.set, &plan).await.unwrap();
    assert_eq!(report.removed, [all[0].clone()]);
    assert!(ids(&world).await.contains(&all[1]), "the newest good one was removed");
    assert_eq!(world.repository.latest(&world.cx(), &world.set).await.unwrap().unwrap().id, all[1]);
    let error = world.repository.delete(&world.cx(), &world.set, &all[1]).await.unwrap_err();
    assert_eq!(error.code().name, "backup.not_removable");
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_prune_leaves_no_visible_backup_without_its_data_and_no_orphan() {
    let run = async |crash: Option<(u64, CrashMode)>| {
        let (world, all) = world_of(3).await;
        let plan = world.repository.plan(&world.cx(), &world.set, &keep_last(1)).await.unwrap();
        let before = world.store.op_count();
        if let Some((step, mode)) = crash {
            world.store.crash_at(step, mode);
        }
        let _ = world.repository.prune(&world.cx(), &world.set, &plan).await;
        (before, world, all)
    };
    let (before, whole, _) = run(None).await;
    let steps = before + 1..=whole.store.op_count();
    assert!(steps.clone().count() > 15);
    for (step, mode) in steps.flat_map(|step| [CrashMode::BeforeEffect, CrashMode::AfterEffect].map(|mode| (step, mode))) {
        let (_, world, all) = run(Some((step, mode))).await;
        let world = world.after_crash(step);
        let restored = world.restore_all().await;
        assert!(restored.iter().all(|backup| *backup == data().content()), "step {step} {mode:?}");
        world.janitor_to_the_end().await;
        assert_eq!(world.orphans().await, Vec::<String>::new(), "step {step} {mode:?}");
        assert_eq!(world.restore_all().await.len(), restored.len(), "step {step} {mode:?}");
        let plan = world.repository.plan(&world.cx(), &world.set, &keep_last(1)).await.unwrap();
        let report = world.repository.prune(&world.cx(), &world.set, &plan).await.unwrap();
        assert!(report.failed.is_empty() && report.withdrawn.is_empty(), "step {step} {mode:?}: {report:?}");
        assert_eq!(ids(&world).await, [all[2].clone()], "step {step} {mode:?}");
        assert_eq!(world.orphans().await, Vec::<String>::new(), "step {step} {mode:?}");
    }
}

#[tokio::test]
async fn a_backup_whose_removal_died_at_any_step_can_be_deleted_at_once() {
    let run = async |crash: Option<(u64, CrashMode)>| {
        let (world, all) = world_of(2).await;
        let before = world.store.op_count();
        if let Some((step, mode)) = crash {
            world.store.crash_at(step, mode);
        }
        let _ = world.repository.delete(&world.cx(), &world.set, &all[0]).await;
        (before, world, all)
    };
    let (before, whole, _) = run(None).await;
    let steps = before + 1..=whole.store.op_count();
    for (step, mode) in steps.flat_map(|step| [CrashMode::BeforeEffect, CrashMode::AfterEffect].map(|mode| (step, mode))) {
        let (_, world, all) = run(Some((step, mode))).await;
        let world = world.after_crash(step);
        match world.repository.delete(&world.cx(), &world.set, &all[0]).await {
            Ok(()) => {}
            Err(error) => assert_eq!(error.code().name, "backup.not_found", "step {step} {mode:?}: {error}"),
        }
        assert_eq!(ids(&world).await, [all[1].clone()], "step {step} {mode:?}");
        world.janitor_to_the_end().await;
        assert_eq!(world.orphans().await, Vec::<String>::new(), "step {step} {mode:?}");
    }
}

#[tokio::test]
async fn a_full_store_can_be_pruned_although_no_tombstone_fits() {
    let (world, all) = world_of(3).await;
    let full = FaultRule::new(Fault::ErrorBefore(&codes::STORE_NO_SPACE)).on([OpKind::Put]).key(|key| key.contains("tombstones"));
    world.store.set_faults(FaultPlan::seeded(1).rule(full));
    let plan = world.repository.plan(&world.cx(), &world.set, &keep_last(1)).await.unwrap();
    let report = world.repository.prune(&world.cx(), &world.set, &plan).await.unwrap();
    assert!(report.failed.is_empty(), "{report:?}");
    assert_eq!(ids(&world).await, [all[2].clone()]);
    assert_eq!(world.orphans().await, Vec::<String>::new());
    world.store.verify_all_faults_exercised();
}

#[tokio::test]
async fn a_cheap_verify_does_not_clear_what_a_closer_one_found() {
    let (world, all) = world_of(1).await;
    let manifest = world.repository.manifest(&world.cx(), &world.set, &all[0]).await.unwrap();
    let verify = async |level| world.repository.verify(&world.cx(), &world.set, &all[0], level, None).await.unwrap().is_good();
    let is_good = async || world.repository.list(&world.cx(), &world.set).await.unwrap()[0].is_good();
    world.store.flip_bit(manifest.artifacts[0].key.as_str(), 7, 1);
    assert!(!verify(VerifyLevel::Digest).await);
    assert!(verify(VerifyLevel::Size).await);
    assert!(!is_good().await, "looking at sizes cleared a damaged block");
    world.store.flip_bit(manifest.artifacts[0].key.as_str(), 7, 1);
    assert!(verify(VerifyLevel::Digest).await);
    assert!(is_good().await);
}
