//! The jobs of the agent: slots, one after another for one database, records, cancelling, and what a crash interrupted.
//!
//! Those that run are in memory; those that ended are in the state alone, so that logs do not fill the memory.

mod live;
mod records;
mod recover;
mod run;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backup_core::error::codes;
use backup_core::lease::LocalLeases;
use backup_core::service::JobKind;
use backup_core::state::State;
use backup_core::{Environment, Error, Result};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::record::Record;
use super::request::JobRequest;
use super::stage::Operation;
use super::work::{AgentWork, Progress, Run};
use crate::observe::{CountedJob, Metrics};
use live::Job;
use records::Records;

/// How long jobs may clean up after a stop cancelled them.
const LAST_CLEANUP: Duration = Duration::from_secs(180);

/// Between two looks for jobs that are past their time.
const SWEEP: Duration = Duration::from_secs(3600);

/// How often a job is looked for that moves from the memory into the state just then.
const LOOKS: u32 = 3;

/// What names a job: backups and restores have ids of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) operation: Operation,
    pub(super) id: String,
}

impl Key {
    pub(super) fn new(operation: Operation, id: impl Into<String>) -> Self {
        Self { operation, id: id.into() }
    }

    fn of(record: &Record) -> Self {
        Self::new(record.operation, record.id.clone())
    }
}

/// What became of a request for a job.
#[derive(Debug)]
pub(super) enum Submitted {
    /// It runs, or waits for another job of its database.
    Accepted,
    /// There is one of that id.
    Exists(Box<Record>, Progress),
    /// Every slot is taken.
    Busy,
}

#[derive(Debug)]
pub(super) struct Jobs {
    pub(super) work: Arc<dyn AgentWork>,
    environment: Environment,
    metrics: Option<Metrics>,
    records: Records,
    live: Mutex<HashMap<Key, Arc<Job>>>,
    slots: Arc<Semaphore>,
    /// One job of a database at a time, in the order of arrival.
    turns: LocalLeases,
    keep: Duration,
    swept: Mutex<Option<Duration>>,
    running: TaskTracker,
    stopping: CancellationToken,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Jobs {
    pub(super) fn new(
        work: Arc<dyn AgentWork>,
        state: Arc<dyn State>,
        environment: Environment,
        slots: usize,
        keep: Duration,
    ) -> Self {
        Self {
            work,
            environment,
            metrics: None,
            records: Records::new(state),
            live: Mutex::default(),
            slots: Arc::new(Semaphore::new(slots.min(Semaphore::MAX_PERMITS))),
            turns: LocalLeases::default(),
            keep,
            swept: Mutex::default(),
            running: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    pub(super) fn counted_by(mut self, metrics: Option<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Counts a job from now on, where somebody counts.
    fn counted(&self, operation: Operation) -> Option<CountedJob> {
        let kind = match operation {
            Operation::Backup => JobKind::Backup,
            Operation::Restore => JobKind::Restore,
        };
        Some(self.metrics.as_ref()?.job(kind))
    }

    /// A job with what its scripts printed.
    pub(super) async fn find(&self, key: &Key) -> Result<Option<(Record, Progress)>> {
        let mut looks = 0;
        loop {
            if let Some(job) = self.live(key) {
                return Ok(Some(job.snapshot()));
            }
            let Some(record) = self.records.get(key).await? else { return Ok(None) };
            looks += 1;
            // It began or ended while it was looked for.
            if !record.is_over() && looks < LOOKS {
                continue;
            }
            if self.is_past(&record) {
                self.records.remove(key).await?;
                return Ok(None);
            }
            let logs = self.records.logs(key).await?;
            return Ok(Some((record, Progress::new(None, logs))));
        }
    }

    /// Takes a job on, if there is a slot and no other job of its id.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(super) async fn submit(self: &Arc<Self>, request: &JobRequest, run: Arc<dyn Run>) -> Result<Submitted> {
        let record = Record::new(request, self.environment.clock.now());
        let key = Key::of(&record);
        let (job, slot) = {
            let mut live = locked(&self.live);
            if let Some(known) = live.get(&key) {
                let (record, progress) = known.snapshot();
                return Ok(Submitted::Exists(Box::new(record), progress));
            }
            // Counted as running before it is looked whether the agent stops, so that a stop waits for it.
            let running = self.running.token();
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return Ok(Submitted::Busy) };
            if self.stopping.is_cancelled() {
                return Ok(Submitted::Busy);
            }
            let job = Arc::new(Job::new(record.clone(), run, &self.environment));
            live.insert(key.clone(), Arc::clone(&job));
            (job, (slot, running))
        };
        let created = self.records.create(&record).await;
        if !matches!(created, Ok(true)) {
            // It never began: whoever waits to delete it waits no longer.
            self.forget(&key);
            job.end();
        }
        match created {
            Ok(true) => {
                tracing::info!(job = key.id, operation = key.operation.as_str(), "accepted");
                tokio::spawn(Arc::clone(self).run(job, slot));
                Ok(Submitted::Accepted)
            }
            Ok(false) => {
                let gone = || Error::new(&codes::INTERNAL, "a job was removed while its id was asked for again");
                let (record, progress) = self.find(&key).await?.ok_or_else(gone)?;
                Ok(Submitted::Exists(Box::new(record), progress))
            }
            Err(error) => {
                // It may have been kept all the same.
                let _ = self.records.remove(&key).await;
                Err(error)
            }
        }
    }

    /// Ends a job if it runs, waits until it has cleaned up, and forgets it. False when there is none.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(super) async fn delete(&self, key: &Key) -> Result<bool> {
        if let Some(job) = self.live(key) {
            job.cancel();
            job.ended().await;
            // One whose end could not be kept.
            let kept_here = self.forget(key);
            let removed = self.records.remove(key).await? || kept_here;
            if kept_here {
                job.run.noted();
            }
            return Ok(removed);
        }
        match self.find(key).await? {
            Some(_) => self.records.remove(key).await,
            None => Ok(false),
        }
    }

    /// Takes no more jobs, gives those that run `grace` to end, cancels what is left then, and returns when all have cleaned up.
    pub(super) async fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        self.running.close();
        let clock = &self.environment.clock;
        tokio::select! {
            () = self.running.wait() => return,
            () = clock.sleep(grace) => {}
        }
        for job in locked(&self.live).values() {
            job.cancel();
        }
        tokio::select! {
            () = self.running.wait() => {}
            () = clock.sleep(LAST_CLEANUP) => tracing::warn!("jobs that did not end when they were cancelled are left behind"),
        }
    }

    fn live(&self, key: &Key) -> Option<Arc<Job>> {
        locked(&self.live).get(key).cloned()
    }

    fn forget(&self, key: &Key) -> bool {
        locked(&self.live).remove(key).is_some()
    }

    fn is_past(&self, record: &Record) -> bool {
        let age = |ended| self.environment.clock.now() - ended;
        record.ended_at.is_some_and(|ended| age(ended).to_std().is_ok_and(|age| age > self.keep))
    }

    /// Removes jobs that are past their time, now and then.
    async fn sweep(&self) {
        let now = self.environment.clock.monotonic();
        {
            let mut swept = locked(&self.swept);
            if swept.is_some_and(|last| now.saturating_sub(last) < SWEEP) {
                return;
            }
            *swept = Some(now);
        }
        let removed = async {
            for record in self.records.all(|record| self.is_past(record)).await? {
                self.records.remove(&Key::of(&record)).await?;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = removed.await {
            tracing::warn!(%error, "old jobs could not be removed");
        }
    }
}
