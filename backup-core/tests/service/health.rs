//! Whether backups are as young as declared.

use std::sync::Arc;
use std::time::Duration;

use backup_core::repository::VerifyLevel;
use backup_core::service::{BackupService, SubmitOptions};
use backup_core::testkit::{Fault, FaultPlan, FaultRule, MemoryState, OpKind};

use crate::gated::Gated;
use crate::support::World;
use crate::{settle, target};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn an_objective_is_met_as_long_as_the_last_good_backup_and_verify_are_young_enough() {
    let world = World::new(1);
    let source = Gated::open();
    let target = target(&world.repository, "a", &source).backup_objective(HOUR).verified_objective(HOUR * 3);
    let service = BackupService::builder(Arc::new(MemoryState::new()))
        .environment(world.cx().environment().clone())
        .target(target.clone())
        .start()
        .await
        .unwrap();
    let health = async || {
        world.clock.advance(Duration::from_secs(10));
        let health = service.health().await;
        (health.healthy, health.sets.into_iter().next().unwrap())
    };
    let backup = async || {
        let done = service.backup(&target, SubmitOptions::default()).await.unwrap().wait().await.unwrap();
        settle().await;
        done.outcome.backup().id.clone()
    };

    let (healthy, set) = health().await;
    assert!(healthy && set.last_backup.is_none(), "there is time until the first backup");
    world.clock.advance(HOUR);
    assert!(!health().await.0, "there is none after an hour");

    let id = backup().await;
    let (healthy, set) = health().await;
    assert!(healthy, "{set:?}");
    assert_eq!((set.last_backup.as_ref(), set.last_backup_age), (Some(&id), Some(10)));

    world.clock.advance(HOUR);
    assert!(!health().await.0, "it is too old");
    backup().await;
    let (healthy, set) = health().await;
    assert!(healthy && set.last_backup == Some(id.clone()), "a skipped backup says that the old one still holds: {set:?}");

    world.clock.advance(HOUR * 2);
    backup().await;
    assert!(!health().await.0, "nothing was ever verified");
    let report = service.verify(&target, &id, VerifyLevel::Digest, SubmitOptions::default()).await.unwrap().wait().await.unwrap();
    assert!(report.is_good());
    settle().await;
    let (healthy, set) = health().await;
    assert!(healthy && set.last_verified_age == Some(10), "{set:?}");
}

#[tokio::test]
async fn what_confirmed_a_backup_that_is_damaged_does_not_confirm_the_one_before_it() {
    let world = World::new(1);
    let source = Gated::open();
    let target = target(&world.repository, "a", &source).backup_objective(HOUR);
    let builder = BackupService::builder(Arc::new(MemoryState::new())).environment(world.cx().environment().clone());
    let service = builder.target(target.clone()).start().await.unwrap();
    let backup = async || service.backup(&target, SubmitOptions::default()).await.unwrap().wait().await.unwrap();
    let old = backup().await.outcome.backup().id.clone();
    world.clock.advance(HOUR * 2);
    source.change();
    let new = backup().await.outcome.backup().clone();
    assert_eq!(backup().await.outcome.backup().id, new.id, "skipped");
    assert!(world.store.raw_delete(new.first_key.as_ref().unwrap().as_str()));
    let verify = service.verify(&target, &new.id, VerifyLevel::Size, SubmitOptions::default());
    assert!(!verify.await.unwrap().wait().await.unwrap().is_good());
    let health = service.health().await;
    assert_eq!((health.sets[0].last_backup.as_ref(), health.healthy), (Some(&old), false), "{health:?}");
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_said_and_is_not_healthy() {
    let world = World::new(1);
    let service = BackupService::builder(Arc::new(MemoryState::new()))
        .environment(world.cx().environment().clone())
        .target(target(&world.repository, "a", &Gated::open()))
        .start()
        .await
        .unwrap();
    world.store.set_faults(FaultPlan::seeded(1).rule(FaultRule::new(Fault::Timeout).on([OpKind::List])));
    let health = service.health().await;
    assert!(!health.healthy && health.sets[0].error.is_some(), "{health:?}");
}
