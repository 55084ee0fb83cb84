//! Schedules that the service runs.

use std::sync::Arc;
use std::time::Duration;

use backup_core::retention::RetentionPolicy;
use backup_core::schedule::{Action, Schedule, Trigger};
use backup_core::service::{BackupService, JobKind, JobState, SubmitOptions};
use backup_core::testkit::MemoryState;
use backup_core::{Environment, SetName};

use crate::gated::Gated;
use crate::support::World;
use crate::{settle, target};

const MINUTE: Duration = Duration::from_secs(60);

struct Scheduled {
    world: World,
    service: BackupService,
}

fn every_half_hour(action: Action) -> Schedule {
    let trigger = Trigger::Interval { every: MINUTE * 30 };
    Schedule::new(format!("{action:?}"), SetName::new("a").unwrap(), action, trigger)
}

async fn start(world: World, state: &MemoryState, source: &Gated, actions: &[Action]) -> Scheduled {
    let environment = Environment::new(world.clock.clone(), world.cx().environment().random.clone());
    let target = target(&world.repository, "a", source).retention(RetentionPolicy::default().keep_last(1));
    let mut builder = BackupService::builder(Arc::new(state.clone())).environment(environment).target(target);
    for action in actions {
        builder = builder.schedule(every_half_hour(*action));
    }
    let service = builder.start().await.unwrap();
    settle().await;
    Scheduled { world, service }
}

impl Scheduled {
    async fn pass(&self, time: Duration) {
        self.world.clock.pass(time).await;
        settle().await;
    }

    fn states(&self, kind: JobKind) -> Vec<JobState> {
        self.service.jobs().iter().filter(|job| job.kind == kind).map(|job| job.state).collect()
    }
}

#[tokio::test]
async fn an_interval_begins_with_the_service_and_again_with_a_backup_in_between() {
    let source = Gated::open();
    let scheduled = start(World::new(1), &MemoryState::new(), &source, &[Action::Backup]).await;
    scheduled.pass(MINUTE * 29).await;
    assert_eq!(scheduled.states(JobKind::Backup), []);
    scheduled.pass(MINUTE * 2).await;
    assert_eq!(scheduled.states(JobKind::Backup), [JobState::Succeeded]);

    scheduled.pass(MINUTE * 20).await;
    let target = scheduled.service.target(&SetName::new("a").unwrap()).unwrap();
    scheduled.service.backup(&target, SubmitOptions::default()).await.unwrap().wait().await.unwrap();
    settle().await;
    scheduled.pass(MINUTE * 20).await;
    assert_eq!(scheduled.states(JobKind::Backup).len(), 2, "the interval began anew");
    scheduled.pass(MINUTE * 11).await;
    assert_eq!(scheduled.states(JobKind::Backup).len(), 3);
    let health = scheduled.service.health().await;
    assert!(health.sets[0].next_backup_at.unwrap() > scheduled.world.repository.context().clock().now());
}

#[tokio::test]
async fn a_run_that_takes_longer_than_its_interval_is_one_run() {
    let source = Gated::closed();
    let scheduled = start(World::new(1), &MemoryState::new(), &source, &[Action::Backup]).await;
    scheduled.pass(MINUTE * 200).await;
    assert_eq!(scheduled.states(JobKind::Backup), [JobState::Running]);
    source.let_through(1);
    settle().await;
    scheduled.pass(MINUTE * 29).await;
    assert_eq!(scheduled.states(JobKind::Backup), [JobState::Succeeded]);
    scheduled.pass(MINUTE * 2).await;
    assert_eq!(scheduled.states(JobKind::Backup).len(), 2);
}

#[tokio::test]
async fn verifies_and_prunes_are_scheduled_too() {
    let source = Gated::open();
    let scheduled = start(World::new(1), &MemoryState::new(), &source, &[Action::Verify, Action::Prune]).await;
    scheduled.pass(MINUTE * 31).await;
    assert_eq!(scheduled.states(JobKind::Verify), [JobState::Failed], "there is nothing to verify yet");
    let target = scheduled.service.target(&SetName::new("a").unwrap()).unwrap();
    scheduled.service.backup(&target, SubmitOptions::default()).await.unwrap().wait().await.unwrap();
    scheduled.pass(MINUTE * 31).await;
    assert_eq!(scheduled.states(JobKind::Verify), [JobState::Failed, JobState::Succeeded]);
    assert_eq!(scheduled.states(JobKind::Prune), [JobState::Succeeded; 2]);
    assert!(scheduled.service.health().await.sets[0].last_verified_at.is_some());
}

#[tokio::test]
async fn a_schedule_for_a_set_without_a_target_is_refused_at_the_start() {
    let state = MemoryState::new();
    let schedule = every_half_hour(Action::Backup);
    let error = BackupService::builder(Arc::new(state)).schedule(schedule).start().await.unwrap_err();
    assert_eq!(error.code().name, "service.no_target");
}

#[tokio::test]
async fn a_stopped_service_fires_nothing() {
    let source = Gated::open();
    let scheduled = start(World::new(1), &MemoryState::new(), &source, &[Action::Backup]).await;
    scheduled.service.stop(MINUTE).await;
    scheduled.pass(MINUTE * 100).await;
    assert_eq!(scheduled.service.jobs(), []);
}
