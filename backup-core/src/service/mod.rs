//! The service: the one door for everything that makes, reads, checks and removes backups on request or by schedule.
//!
//! Jobs queue for a place among the running ones and for their set, which has one writer at a time. Each is kept in the
//! [`State`], so that after a restart none is forgotten: one that had not ended is then `interrupted`. The store alone says which backups
//! exist.

mod builder;
pub mod codes;
mod handle;
mod health;
mod job;
mod limits;
mod listing;
mod outcome;
mod reading;
mod requests;
mod run;
mod scheduled;
mod table;
mod target;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use builder::ServiceBuilder;
pub use handle::JobHandle;
pub use health::{Health, SetHealth};
pub use job::{JobError, JobKind, JobRecord, JobState, Trigger};
pub use limits::Limits;
pub use outcome::BackupDone;
pub use run::SubmitOptions;
pub use target::{Objective, Target};

use crate::budget::MemoryBudget;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::lease::LocalLeases;
use crate::name::{JobId, SetName};
use crate::schedule::{Schedule, Scheduler};
use crate::state::State;

/// How long a job may clean up after it was cancelled by a stop.
const LAST_CLEANUP: Duration = Duration::from_secs(90);

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

/// Hears of every change of a job's state. Called from the job's task: it returns at once and does not block.
pub trait JobObserver: Send + Sync + 'static {
    /// The job as it is now.
    fn changed(&self, job: &JobRecord);
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

impl fmt::Debug for BackupService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupService").field("limits", &self.inner.limits).finish_non_exhaustive()
    }
}
