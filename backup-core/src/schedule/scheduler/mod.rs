//! The [`Scheduler`].

mod entry;
mod runner;
mod table;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::record::state_key;
use super::{Fire, Schedule};
use crate::environment::Environment;
use crate::error::Result;
use crate::name::{JobId, SetName};
use crate::state::{Expected, State};
use table::Table;

/// Runs schedules: fires each occurrence exactly once.
///
/// # Behavior
/// - *Exactly once*: a firing is recorded in the state (`schedules/<name>`) before [`Fire::fire`] is called, and confirmed after. After a
///   crash in between, the same job is fired again unless [`Fire::knows`] it. Several processes on one state fire once together.
/// - *One run at a time*: from its firing until [`Scheduler::ended`] a schedule holds the lease `schedule/<name>` of the state. What comes
///   due meanwhile is made up for by one run after the end; an interval counts from the end instead.
/// - *Late*: when a firing is refused as busy, or state or callback fail, it is tried again every ten seconds, in a window as long as it is
///   open. Ticks of cron that pass meanwhile, or while the machine is suspended, are one firing together.
/// - *Clocks*: due is what the wall clock says; it is looked at every thirty seconds at least. A clock that goes back fires nothing twice, and
///   an interval goes on as if it had not.
///
/// Its task ends with [`Scheduler::stop`]; when the scheduler is dropped, it ends at once, like in a crash.
pub struct Scheduler {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Arc<dyn State>,
    environment: Environment,
    fire: Arc<dyn Fire>,
    table: Mutex<Table>,
    changed: Notify,
}

/// When a schedule fires next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NextRun {
    /// The schedule's name.
    pub schedule: String,
    /// Its backup set.
    pub set: SetName,
    /// When, its jitter included. It may have passed, when a firing waits. While a run of an interval is under way: the earliest time.
    pub at: DateTime<Utc>,
    /// Whether a run of it is under way in this process.
    pub running: bool,
}

impl Scheduler {
    /// Starts the task that fires. Needs a tokio runtime.
    pub fn start(state: Arc<dyn State>, environment: Environment, fire: Arc<dyn Fire>) -> Self {
        let shared = Shared { state, environment, fire, table: Mutex::default(), changed: Notify::new() };
        let shared = Arc::new(shared);
        let task = tokio::spawn(runner::run(shared.clone()));
        Self { shared, task: Mutex::new(Some(task)) }
    }

    /// Adds a schedule, or replaces the one of its name: what has fired stays fired, and with an unchanged trigger an interval goes on.
    ///
    /// # Errors
    /// `input.invalid`.
    pub fn set(&self, schedule: Schedule) -> Result<()> {
        schedule.check()?;
        let clock = &self.shared.environment.clock;
        self.shared.table().set(Arc::new(schedule), clock.now(), clock.monotonic());
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Removes a schedule and its record. A run that is under way goes on, and is not looked after any more.
    ///
    /// # Errors
    /// Those of the state. The schedule is gone then, its record may be left.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let busy = self.shared.table().remove(name);
        // A firing under way would write the record again.
        let _quiet = match &busy {
            Some(busy) => Some(busy.lock().await),
            None => None,
        };
        self.shared.state.compare_and_set(&state_key(name), Expected::Any, None).await.map(drop)
    }

    /// Says that the job of a schedule has ended, well or not. A job that the schedule does not run is ignored.
    pub fn ended(&self, schedule: &str, job: &JobId) {
        let clock = &self.shared.environment.clock;
        self.shared.table().ended(schedule, job, clock.now(), clock.monotonic());
        self.shared.changed.notify_one();
    }

    /// Lets the interval of a schedule begin anew, as after a backup that was made by hand. Other triggers do not mind.
    pub fn restart(&self, schedule: &str) {
        let clock = &self.shared.environment.clock;
        self.shared.table().restart(schedule, clock.now(), clock.monotonic());
        self.shared.changed.notify_one();
    }

    /// What fires next, the earliest first.
    pub fn next_runs(&self) -> Vec<NextRun> {
        self.shared.table().next_runs()
    }

    /// Fires nothing any more, and returns when the firing under way, if any, is over. Runs go on.
    ///
    /// # Cancel safety
    /// Dropped, it stops all the same, only later.
    pub async fn stop(&self) {
        self.shared.stop();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = match task {
            Some(task) => Some(task.await),
            None => None,
        } {
            tracing::error!(%error, "the task of the scheduler did not end well");
        }
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.table().stopped = true;
        self.changed.notify_one();
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shared.stop();
        // What it is in the middle of is as after a crash: settled by the next process.
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("next_runs", &self.next_runs()).finish_non_exhaustive()
    }
}
