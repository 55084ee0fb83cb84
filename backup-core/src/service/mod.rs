//! The service: the one door for everything that makes, reads, checks and removes backups on request or by schedule.
//!
//! Jobs queue for a place among the running ones and for their set, which has one writer at a time. Each is kept in the
//! [`State`], so that after a restart none is forgotten: one that had not ended is then `interrupted`. The store alone says which backups
//! exist.

pub mod codes;
mod handle;
mod health;
mod job;
mod listing;
mod outcome;
mod run;
mod scheduled;
mod table;
mod target;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use handle::JobHandle;
pub use health::{Health, SetHealth};
pub use job::{JobError, JobKind, JobRecord, JobState, Trigger};
pub use outcome::BackupDone;
pub use run::SubmitOptions;
pub use target::{Objective, Target};

use crate::budget::MemoryBudget;
use crate::context::JobContext;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::lease::LocalLeases;
use crate::name::{BackupId, JobId, SetName};
use crate::repository::{BackupInfo, BackupOutcome, PruneReport, StoredBackup, VerifyLevel, VerifyReport};
use crate::retention::RetentionPolicy;
use crate::schedule::{Schedule, Scheduler};
use crate::source::{RestoreReport, RestoreTarget};
use crate::state::State;

/// How long a job may clean up after it was cancelled by a stop.
const LAST_CLEANUP: Duration = Duration::from_secs(90);

/// How long a reader waits for memory that others hold.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// How long a look at a store may take that no job makes.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// The service. Cheap to clone; clones are the same service.
#[derive(Clone)]
pub struct BackupService {
    inner: Arc<Inner>,
}

struct Inner {
    environment: Environment,
    limits: Limits,
    table: table::JobTable,
    observers: Vec<Arc<dyn JobObserver>>,
    targets: RwLock<BTreeMap<SetName, Target>>,
    schedules: RwLock<BTreeMap<String, Schedule>>,
    scheduler: Scheduler,
    /// One writer a set, in the order of submission.
    turns: LocalLeases,
    places: Arc<Semaphore>,
    /// The memory of readers: a slow one holds what it has, and must not keep a backup waiting.
    reading: MemoryBudget,
    listings: listing::Listings,
    queued: AtomicUsize,
    running: TaskTracker,
    stopping: CancellationToken,
    started_at: DateTime<Utc>,
    health: tokio::sync::Mutex<Option<health::Remembered>>,
    health_forgotten: AtomicBool,
}

/// How much a service takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Jobs that run at the same time, of all sets.
    pub running: usize,
    /// Jobs that wait for that.
    pub queued: usize,
    /// How long a finished job stays listed.
    pub keep_finished: Duration,
    /// Bytes of memory for all that is read outside of jobs; an open stream takes 12 MiB at most.
    pub read_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { running: 4, queued: 1000, keep_finished: Duration::from_secs(7 * 24 * 3600), read_memory: 128 << 20 }
    }
}

impl Limits {
    /// Sets how many jobs run at the same time.
    #[must_use]
    pub fn running(mut self, jobs: usize) -> Self {
        self.running = jobs;
        self
    }

    /// Sets how many jobs may wait.
    #[must_use]
    pub fn queued(mut self, jobs: usize) -> Self {
        self.queued = jobs;
        self
    }

    /// Sets the memory of readers.
    #[must_use]
    pub fn read_memory(mut self, bytes: u64) -> Self {
        self.read_memory = bytes;
        self
    }

    /// Sets how long a finished job stays listed.
    #[must_use]
    pub fn keep_finished(mut self, time: Duration) -> Self {
        self.keep_finished = time;
        self
    }
}

/// Hears of every change of a job's state. Called from the job's task: it returns at once and does not block.
pub trait JobObserver: Send + Sync + 'static {
    /// The job as it is now.
    fn changed(&self, job: &JobRecord);
}

/// Builds a [`BackupService`]; see [`BackupService::builder`].
#[must_use]
pub struct ServiceBuilder {
    state: Arc<dyn State>,
    environment: Environment,
    limits: Limits,
    observers: Vec<Arc<dyn JobObserver>>,
    targets: BTreeMap<SetName, Target>,
    schedules: Vec<Schedule>,
}

impl BackupService {
    /// A service that keeps its jobs in `state`.
    pub fn builder(state: Arc<dyn State>) -> ServiceBuilder {
        ServiceBuilder {
            state,
            environment: Environment::default(),
            limits: Limits::default(),
            observers: Vec::new(),
            targets: BTreeMap::new(),
            schedules: Vec::new(),
        }
    }

    /// The target of a set.
    ///
    /// # Errors
    /// `service.no_target`.
    pub fn target(&self, set: &SetName) -> Result<Target> {
        let targets = self.inner.targets.read().unwrap_or_else(PoisonError::into_inner);
        targets.get(set).cloned().ok_or_else(|| Error::new(&codes::NO_TARGET, format!("there is no target {set}")))
    }

    /// Backs a target up, and applies its retention after a backup that was made.
    ///
    /// # Errors
    /// `service.busy`, `service.stopping`, `service.no_source`, `job.exists`, and those of the state: then nothing was started. The job's
    /// own come from its handle.
    ///
    /// # Cancel safety
    /// When this is dropped, the job may have been submitted all the same, or not at all.
    pub async fn backup(&self, target: &Target, options: SubmitOptions) -> Result<JobHandle<BackupDone>> {
        let source = target.source.clone().ok_or_else(|| no_source(target))?;
        let work = target.clone();
        let work = move |cx: JobContext| {
            async move {
                let outcome = work.repository.backup(&cx, &*source, &work.request).await?;
                let made = !matches!(outcome, BackupOutcome::Skipped(..));
                let retention = match work.retention.as_ref().filter(|_| made) {
                    Some(policy) => Some(prune(&cx, &work, policy).await),
                    None => None,
                };
                Ok(BackupDone { outcome, retention })
            }
            .boxed()
        };
        self.submit(JobKind::Backup, target, options, |_| {}, Box::new(work)).await
    }

    /// Brings a backup back.
    ///
    /// # Errors
    /// As [`BackupService::backup`].
    pub async fn restore(
        &self,
        target: &Target,
        id: &BackupId,
        to: RestoreTarget,
        options: SubmitOptions,
    ) -> Result<JobHandle<RestoreReport>> {
        let source = target.source.clone().ok_or_else(|| no_source(target))?;
        let (repository, set, backup) = (target.repository.clone(), target.set().clone(), id.clone());
        let work = move |cx: JobContext| async move { repository.restore(&cx, &*source, &set, &backup, &to).await }.boxed();
        self.submit(JobKind::Restore, target, options, |record| record.backup = Some(id.clone()), Box::new(work)).await
    }

    /// Reads a backup back and checks it.
    ///
    /// # Errors
    /// As [`BackupService::backup`].
    pub async fn verify(
        &self,
        target: &Target,
        id: &BackupId,
        level: VerifyLevel,
        options: SubmitOptions,
    ) -> Result<JobHandle<VerifyReport>> {
        let (work, backup) = (target.clone(), id.clone());
        let work = move |cx: JobContext| {
            async move { work.repository.verify(&cx, work.set(), &backup, level, work.source.as_deref()).await }.boxed()
        };
        self.submit(JobKind::Verify, target, options, |record| record.backup = Some(id.clone()), Box::new(work)).await
    }

    /// Checks the backup that is the newest good one when it is the job's turn, as closely as the target says.
    ///
    /// # Errors
    /// As [`BackupService::backup`]; from the handle `backup.not_found` when there is none.
    pub async fn verify_newest(&self, target: &Target, options: SubmitOptions) -> Result<JobHandle<VerifyReport>> {
        let work = target.clone();
        let work = move |cx: JobContext| {
            async move {
                let (repository, set) = (&work.repository, work.set());
                let none = || Error::new(&crate::error::codes::BACKUP_NOT_FOUND, format!("{set} has no good backup"));
                let newest = repository.latest(&cx, set).await?.ok_or_else(none)?;
                repository.verify(&cx, set, &newest.id, work.verify, work.source.as_deref()).await
            }
            .boxed()
        };
        self.submit(JobKind::Verify, target, options, |_| {}, Box::new(work)).await
    }

    /// Removes what `policy`, or else the target's own, does not keep.
    ///
    /// # Errors
    /// As [`BackupService::backup`]; `retention.no_rule` when there is no policy at all.
    pub async fn prune(
        &self,
        target: &Target,
        policy: Option<RetentionPolicy>,
        options: SubmitOptions,
    ) -> Result<JobHandle<PruneReport>> {
        let policy = policy.or_else(|| target.retention.clone()).unwrap_or_default();
        policy.check()?;
        let work = target.clone();
        let work = move |cx: JobContext| async move { prune(&cx, &work, &policy).await }.boxed();
        self.submit(JobKind::Prune, target, options, |_| {}, Box::new(work)).await
    }

    /// Removes one backup.
    ///
    /// # Errors
    /// As [`BackupService::backup`].
    pub async fn delete(&self, target: &Target, id: &BackupId, options: SubmitOptions) -> Result<JobHandle<()>> {
        let (work, backup) = (target.clone(), id.clone());
        let work = move |cx: JobContext| async move { work.repository.delete(&cx, work.set(), &backup).await }.boxed();
        self.submit(JobKind::Delete, target, options, |record| record.backup = Some(id.clone()), Box::new(work)).await
    }

    /// Every job that is known, in the order of submission.
    pub fn jobs(&self) -> Vec<JobRecord> {
        let mut records: Vec<_> = self.inner.table.all().iter().map(|job| job.snapshot()).collect();
        records.sort_by(|a, b| (a.submitted_at, &a.id).cmp(&(b.submitted_at, &b.id)));
        records
    }

    /// One job.
    ///
    /// # Errors
    /// `job.not_found`.
    pub fn job(&self, id: &JobId) -> Result<JobRecord> {
        self.find(id).map(|job| job.snapshot())
    }

    /// Asks a job to end. It cleans up first, and may turn out to have succeeded.
    ///
    /// # Errors
    /// `job.not_found`.
    pub fn cancel(&self, id: &JobId) -> Result<()> {
        if let Some(cx) = &self.find(id)?.cx {
            cx.cancel_token().cancel();
        }
        Ok(())
    }

    fn find(&self, id: &JobId) -> Result<Arc<table::Job>> {
        self.inner.table.get(id).ok_or_else(|| Error::new(&codes::JOB_NOT_FOUND, format!("there is no job {id}")))
    }

    /// The backups of a target, oldest first, as the store has them after this call. Many calls at the same time share one look.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(&self, target: &Target) -> Result<Vec<Arc<BackupInfo>>> {
        let infos = self.inner.listings.list(&self.reading(target), target).await?;
        Ok(Arc::unwrap_or_clone(infos))
    }

    /// Opens a backup for reading, see [`Repository::open`](crate::Repository::open). The context is for the streams opened of it:
    /// it has no time limit, since nobody knows how fast they are read.
    ///
    /// # Errors
    /// `backup.not_found` and the like; those of the store. Opening a stream is `store.busy` when the memory of readers stays taken.
    pub async fn open(&self, target: &Target, id: &BackupId) -> Result<(JobContext, StoredBackup)> {
        let cx = self.reading(target);
        let repository = target.repository.with_budget(self.inner.reading.clone());
        let unlimited = target.repository.context();
        let backup = match cx.run(repository.open_published(&cx, target.set(), id)).await? {
            Some(backup) => backup,
            // A file of another program is read to its end first, and nobody knows how long that takes.
            None => repository.open(&unlimited, target.set(), id).await?,
        };
        Ok((unlimited, backup))
    }

    /// Exempts a backup from retention.
    ///
    /// # Errors
    /// As [`Repository::pin`](crate::Repository::pin).
    pub async fn pin(&self, target: &Target, id: &BackupId, why: &str) -> Result<()> {
        let cx = self.reading(target);
        target.repository.pin(&cx, target.set(), id, why).await
    }

    /// Takes the exemption back.
    ///
    /// # Errors
    /// As [`Repository::unpin`](crate::Repository::unpin).
    pub async fn unpin(&self, target: &Target, id: &BackupId) -> Result<()> {
        let cx = self.reading(target);
        target.repository.unpin(&cx, target.set(), id).await
    }

    /// A context for a short look at a store.
    fn reading(&self, target: &Target) -> JobContext {
        target.repository.context().with_limit(READ_LIMIT)
    }

    /// How many jobs run and how many wait.
    pub fn load(&self) -> (usize, usize) {
        let queued = self.inner.queued.load(std::sync::atomic::Ordering::Acquire);
        (self.inner.limits.running.saturating_sub(self.inner.places.available_permits()), queued)
    }

    /// Takes no more jobs, drops the queued ones, gives the running ones `grace` to end, cancels what is left then, and returns when all
    /// have cleaned up and are recorded.
    pub async fn stop(&self, grace: Duration) {
        self.inner.stopping.cancel();
        self.inner.scheduler.stop().await;
        self.inner.running.close();
        self.cancel_where(|state| state == JobState::Queued);
        let clock = &self.inner.environment.clock;
        tokio::select! {
            () = self.inner.running.wait() => return,
            () = clock.sleep(grace) => self.cancel_where(|state| !state.is_over()),
        }
        tokio::select! {
            () = self.inner.running.wait() => {}
            () = clock.sleep(LAST_CLEANUP) => tracing::warn!("jobs that did not end when they were cancelled are left behind"),
        }
    }

    fn cancel_where(&self, chosen: impl Fn(JobState) -> bool) {
        for job in self.inner.table.all() {
            if let Some(cx) = job.cx.as_ref().filter(|_| chosen(job.state())) {
                cx.cancel_token().cancel();
            }
        }
    }
}

fn no_source(target: &Target) -> Error {
    Error::new(&codes::NO_SOURCE, format!("the target {} has no source", target.set()))
}

async fn prune(cx: &JobContext, target: &Target, policy: &RetentionPolicy) -> Result<PruneReport> {
    let plan = target.repository.plan(cx, target.set(), policy).await?;
    target.repository.prune(cx, target.set(), &plan).await
}

impl ServiceBuilder {
    /// Sets clock and random numbers.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets how much the service takes on.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds somebody who hears of every change of a job.
    pub fn observer(mut self, observer: Arc<dyn JobObserver>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Adds a target, which is then found by its set's name and looked after by [`BackupService::health`].
    pub fn target(mut self, target: Target) -> Self {
        self.targets.insert(target.set().clone(), target);
        self
    }

    /// Adds a schedule for one of the targets.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedules.push(schedule);
        self
    }

    /// Reads what an earlier process left in the state, and starts, schedules included. Needs a tokio runtime.
    ///
    /// # Errors
    /// Those of the state; `input.invalid` and `service.no_target` for a schedule that can never fire.
    pub async fn start(self) -> Result<BackupService> {
        let Self { state, environment, limits, observers, targets, schedules } = self;
        let table = table::JobTable::load(Arc::clone(&state), Arc::clone(&environment.clock), limits.keep_finished).await?;
        let inner = Arc::new_cyclic(|inner| Inner {
            started_at: environment.clock.now(),
            scheduler: Scheduler::start(state, environment.clone(), Arc::new(scheduled::Firing(Weak::clone(inner)))),
            environment,
            limits,
            table,
            observers,
            targets: RwLock::new(targets),
            schedules: RwLock::default(),
            turns: LocalLeases::default(),
            places: Arc::new(Semaphore::new(limits.running)),
            reading: MemoryBudget::new(limits.read_memory).patience(READ_PATIENCE),
            listings: listing::Listings::default(),
            queued: AtomicUsize::new(0),
            running: TaskTracker::new(),
            stopping: CancellationToken::new(),
            health: tokio::sync::Mutex::new(None),
            health_forgotten: AtomicBool::new(false),
        });
        let service = BackupService { inner };
        schedules.into_iter().try_for_each(|schedule| service.set_schedule(schedule))?;
        Ok(service)
    }
}

impl fmt::Debug for BackupService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupService").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}

impl fmt::Debug for ServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}
