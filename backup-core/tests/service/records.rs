//! What a job's record says, while it runs, afterwards, and after a restart.

use std::sync::Arc;
use std::time::Duration;

use backup_core::lease::Lease;
use backup_core::repository::{BackupOutcome, VerifyLevel};
use backup_core::retention::RetentionPolicy;
use backup_core::service::{BackupService, JobKind, JobState, Limits, SubmitOptions};
use backup_core::state::{Entry, Expected, State};
use backup_core::testkit::MemoryState;
use backup_core::{Bytes, JobId, RestoreTarget, Result, async_trait};
use tokio::sync::Semaphore;

use crate::gated::{Fate, Gated};
use crate::support::World;
use crate::{LONG, Serving, settle, target};

fn options() -> SubmitOptions {
    SubmitOptions::default()
}

#[tokio::test]
async fn a_backup_is_queued_runs_and_is_recorded_with_what_it_made() {
    let serving = Serving::start(Limits::default()).await;
    let source = Gated::closed();
    let target = serving.target("a", &source);
    let handle = serving.service.backup(&target, options().label("asked-by", "me")).await.unwrap();
    handle.started().await;
    settle().await;
    let record = serving.service.job(handle.id()).unwrap();
    assert_eq!((record.state, record.kind, record.phase.as_deref()), (JobState::Running, JobKind::Backup, Some("capturing")));
    assert!(record.started_at.is_some() && record.ended_at.is_none());

    source.let_through(1);
    let id = handle.id().clone();
    let done = handle.wait().await.unwrap();
    let record = serving.service.job(&id).unwrap();
    assert_eq!(record.state, JobState::Succeeded);
    assert_eq!(record.backup.as_ref(), Some(&done.outcome.backup().id));
    assert_eq!(record.labels["asked-by"], "me");
    assert!(record.phase.is_none() && record.ended_at.is_some() && record.bytes_done > 0, "{record:?}");
}

#[tokio::test]
async fn an_unchanged_source_is_a_skipped_job_and_retention_follows_only_what_was_made() {
    let serving = Serving::start(Limits::default()).await;
    let source = Gated::open();
    let target = serving.target("a", &source).retention(RetentionPolicy::default().keep_last(2));
    for made in 1..=3 {
        source.change();
        let done = serving.service.backup(&target, options()).await.unwrap().wait().await.unwrap();
        let removed = done.retention.unwrap().unwrap().removed.len();
        assert_eq!(removed, usize::from(made == 3));
    }
    let handle = serving.service.backup(&target, options()).await.unwrap();
    let id = handle.id().clone();
    let done = handle.wait().await.unwrap();
    assert!(matches!(done.outcome, BackupOutcome::Skipped(..)) && done.retention.is_none());
    assert_eq!(serving.service.job(&id).unwrap().state, JobState::Skipped);
    assert_eq!(serving.service.list(&target).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_retention_that_fails_does_not_fail_the_backup() {
    let serving = Serving::start(Limits::default()).await;
    let target = serving.target("a", &Gated::open()).retention(RetentionPolicy::default());
    let handle = serving.service.backup(&target, options()).await.unwrap();
    let id = handle.id().clone();
    assert!(handle.wait().await.unwrap().retention.unwrap().is_err());
    let record = serving.service.job(&id).unwrap();
    assert_eq!(record.state, JobState::Succeeded);
    assert_eq!(record.retention_error.unwrap().code, "retention.no_rule");
}

#[tokio::test]
async fn each_kind_of_job_has_its_record() {
    let serving = Serving::start(Limits::default()).await;
    let source = Gated::open();
    let target = serving.target("a", &source);
    let mut ids = Vec::new();
    for _ in 0..2 {
        source.change();
        let done = serving.service.backup(&target, options()).await.unwrap().wait().await.unwrap();
        ids.push(done.outcome.backup().id.clone());
    }
    let service = &serving.service;
    let report = service.verify(&target, &ids[0], VerifyLevel::Digest, options()).await.unwrap().wait().await.unwrap();
    assert!(report.is_good());
    let refused = service.restore(&target, &ids[0], RestoreTarget::default(), options()).await.unwrap().wait().await;
    assert_eq!(refused.unwrap_err().code().name, "source.unsupported");
    assert_eq!(service.prune(&target, None, options()).await.unwrap_err().code().name, "retention.no_rule");
    service.pin(&target, &ids[0], "for the audit").await.unwrap();
    let refused = service.delete(&target, &ids[0], options()).await.unwrap().wait().await;
    assert_eq!(refused.unwrap_err().code().name, "backup.not_removable");
    service.unpin(&target, &ids[0]).await.unwrap();
    service.delete(&target, &ids[0], options()).await.unwrap().wait().await.unwrap();
    let told: Vec<_> = service.jobs().iter().map(|job| (job.kind.as_str(), job.state.as_str())).collect();
    let expected = [
        ("backup", "succeeded"),
        ("backup", "succeeded"),
        ("verify", "succeeded"),
        ("restore", "failed"),
        ("delete", "failed"),
        ("delete", "succeeded"),
    ];
    let sorted = |mut pairs: Vec<(&'static str, &'static str)>| {
        pairs.sort_unstable();
        pairs
    };
    // All were submitted in the same moment of the virtual clock.
    assert_eq!(sorted(told), sorted(expected.to_vec()));
}

#[tokio::test]
async fn what_an_earlier_process_did_not_finish_is_interrupted_and_the_rest_is_as_it_was() {
    let first = Serving::start(Limits::default().running(1)).await;
    let source = Gated::closed();
    source.let_through(1);
    let (a, b) = (first.target("a", &source), first.target("b", &source));
    let done = first.service.backup(&a, options()).await.unwrap();
    let done_id = done.id().clone();
    done.wait().await.unwrap();
    source.change();
    let running = first.service.backup(&a, options()).await.unwrap();
    running.started().await;
    let queued = first.service.backup(&b, options()).await.unwrap();
    settle().await;

    let second = first.restart(Limits::default()).await;
    let states = [&done_id, running.id(), queued.id()].map(|id| second.service.job(id).unwrap().state);
    assert_eq!(states, [JobState::Succeeded, JobState::Interrupted, JobState::Interrupted]);
    assert!(second.service.job(running.id()).unwrap().ended_at.is_some());
    // And it stays so: the next restart does not interrupt it again.
    let third = second.restart(Limits::default()).await;
    assert_eq!(third.service.job(running.id()).unwrap(), second.service.job(running.id()).unwrap());
}

#[tokio::test]
async fn finished_jobs_are_forgotten_after_their_time_and_not_before() {
    let serving = Serving::start(Limits::default().keep_finished(LONG)).await;
    let source = Gated::open();
    let target = serving.target("a", &source);
    let first = serving.service.backup(&target, options()).await.unwrap();
    let first_id = first.id().clone();
    first.wait().await.unwrap();
    serving.world.clock.advance(LONG - Duration::from_secs(60));
    serving.service.backup(&target, options()).await.unwrap().wait().await.unwrap();
    settle().await;
    assert!(serving.service.job(&first_id).is_ok());
    serving.world.clock.advance(Duration::from_secs(120));
    serving.service.backup(&target, options()).await.unwrap().wait().await.unwrap();
    settle().await;
    assert_eq!(serving.service.job(&first_id).unwrap_err().code().name, "job.not_found");
    let second = serving.restart(Limits::default().keep_finished(LONG)).await;
    assert_eq!(second.service.jobs().len(), 2);
}

#[tokio::test]
async fn an_id_is_one_job() {
    let serving = Serving::start(Limits::default()).await;
    let target = serving.target("a", &Gated::open());
    let id = JobId::new("0123456789abcdef0123456789abcdef").unwrap();
    serving.service.backup(&target, options().id(id.clone())).await.unwrap().wait().await.unwrap();
    let again = serving.service.backup(&target, options().id(id)).await.unwrap_err();
    assert_eq!(again.code().name, "job.exists");
    assert_eq!(serving.service.jobs().len(), 1);
}

/// A state whose changes wait at a gate.
#[derive(Debug)]
struct SlowState {
    inner: MemoryState,
    gate: Semaphore,
}

#[async_trait]
impl State for SlowState {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.inner.get(key).await
    }

    async fn compare_and_set(&self, key: &str, expected: Expected, value: Option<Bytes>) -> Result<bool> {
        self.gate.acquire().await.unwrap().forget();
        self.inner.compare_and_set(key, expected, value).await
    }

    async fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        self.inner.range(prefix, after, limit).await
    }

    async fn lease(&self, name: &str) -> Result<Option<Box<dyn Lease>>> {
        self.inner.lease(name).await
    }
}

async fn slow() -> (World, Arc<SlowState>, BackupService) {
    let world = World::new(1);
    let state = Arc::new(SlowState { inner: MemoryState::new(), gate: Semaphore::new(0) });
    let builder = BackupService::builder(Arc::clone(&state) as Arc<dyn State>);
    let service = builder.environment(world.cx().environment().clone()).start().await.unwrap();
    (world, state, service)
}

#[tokio::test]
async fn an_id_is_one_job_while_the_state_is_slow_too() {
    let (world, state, service) = slow().await;
    let source = Gated::open();
    let target = target(&world.repository, "a", &source);
    let id = JobId::new("0123456789abcdef0123456789abcdef").unwrap();
    let first = service.backup(&target, options().id(id.clone()));
    let second = service.backup(&target, options().id(id.clone()));
    let gate = async {
        settle().await;
        state.gate.add_permits(100);
    };
    let (first, second, ()) = tokio::join!(first, second, gate);
    assert_eq!(second.unwrap_err().code().name, "job.exists");
    first.unwrap().wait().await.unwrap();
    settle().await;
    assert_eq!((service.jobs().len(), service.list(&target).await.unwrap().len()), (1, 1));
}

#[tokio::test]
async fn a_job_whose_submitter_goes_away_meanwhile_is_run_and_not_left_behind_in_the_state() {
    let (world, state, service) = slow().await;
    let source = Gated::open();
    let target = target(&world.repository, "a", &source);
    let mut submitting = Box::pin(service.backup(&target, options()));
    assert!(futures::poll!(&mut submitting).is_pending());
    settle().await;
    drop(submitting);
    state.gate.add_permits(100);
    settle().await;
    assert_eq!(service.jobs().len(), 1, "it is in the state, and known");
    service.stop(LONG).await;
    assert_eq!(service.jobs()[0].state, JobState::Succeeded);
    assert_eq!(service.list(&target).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_job_that_is_submitted_while_the_service_is_stopped_is_cancelled_with_the_queued_ones() {
    let (world, state, service) = slow().await;
    let source = Gated::closed();
    let target = target(&world.repository, "a", &source);
    let submitting = service.backup(&target, options());
    let stopping = async {
        settle().await;
        let stop = tokio::spawn({
            let service = service.clone();
            async move { service.stop(LONG).await }
        });
        settle().await;
        state.gate.add_permits(100);
        settle().await;
        // Without waiting for the grace: the clock stands still.
        assert!(stop.is_finished());
    };
    let (submitted, ()) = tokio::join!(submitting, stopping);
    assert_eq!(submitted.unwrap().record().state, JobState::Cancelled);
    assert_eq!(source.most(), 0);
}

#[tokio::test]
async fn a_source_that_fails_or_panics_is_a_failed_job_and_leaves_its_place() {
    let serving = Serving::start(Limits::default().running(1)).await;
    let source = Gated::open();
    let target = serving.target("a", &source);
    for (fate, code) in [(Fate::Fails, "source.failed"), (Fate::Panics, "internal.error")] {
        source.fate(fate);
        let handle = serving.service.backup(&target, options()).await.unwrap();
        let id = handle.id().clone();
        assert_eq!(handle.wait().await.unwrap_err().code().name, code);
        let record = serving.service.job(&id).unwrap();
        assert_eq!((record.state, record.error.unwrap().code), (JobState::Failed, code.to_owned()));
    }
    source.fate(Fate::Well);
    serving.service.backup(&target, options()).await.unwrap().wait().await.unwrap();
}

#[tokio::test]
async fn a_job_that_the_state_does_not_take_is_not_started() {
    let serving = Serving::start(Limits::default()).await;
    let source = Gated::open();
    let target = serving.target("a", &source);
    serving.state.fail_next(1);
    assert!(serving.service.backup(&target, options()).await.is_err());
    assert_eq!((source.most(), serving.service.jobs().len()), (0, 0));
    // A state that fails later costs the record, not the backup.
    let handle = serving.service.backup(&target, options()).await.unwrap();
    serving.state.fail_next(100);
    handle.wait().await.unwrap();
    assert_eq!(serving.service.list(&target).await.unwrap().len(), 1);
}
