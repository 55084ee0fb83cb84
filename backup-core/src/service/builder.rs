//! From its parts to a service that runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, RwLock, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{BackupService, Inner, JobObserver, Limits, Target, listing, scheduled, table};
use crate::budget::MemoryBudget;
use crate::environment::Environment;
use crate::error::Result;
use crate::lease::LocalLeases;
use crate::name::SetName;
use crate::schedule::{Schedule, Scheduler};
use crate::state::State;

/// How long a reader waits for memory that others hold.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// Builds a [`BackupService`]; see [`BackupService::builder`].
#[must_use]
pub struct ServiceBuilder {
    pub(super) state: Arc<dyn State>,
    pub(super) environment: Environment,
    pub(super) limits: Limits,
    pub(super) observers: Vec<Arc<dyn JobObserver>>,
    pub(super) targets: BTreeMap<SetName, Target>,
    pub(super) schedules: Vec<Schedule>,
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

impl fmt::Debug for ServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}
