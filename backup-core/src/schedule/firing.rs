//! One firing: through the state, exactly once.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::record::Record;
use super::{Occurrence, Schedule, Trigger};
use crate::environment::Environment;
use crate::error::Result;
use crate::lease::Lease;
use crate::name::JobId;
use crate::state::{Expected, State};

/// Starts the jobs of schedules.
#[async_trait]
pub trait Fire: Send + Sync + 'static {
    /// Starts `job` for this schedule and returns when it is accepted; its end is told by [`Scheduler::ended`](super::Scheduler::ended).
    ///
    /// It is called again with the same job when the answer was an error or got lost: the same job twice is one job.
    ///
    /// # Errors
    /// Any; it is asked again after a pause.
    async fn fire(&self, schedule: &Schedule, job: &JobId) -> Result<Fired>;

    /// Whether `job` was accepted by a process that is gone. Such a job counts as over, not as running.
    ///
    /// # Errors
    /// Any; it is asked again after a pause.
    async fn knows(&self, job: &JobId) -> Result<bool>;
}

/// The answer to a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    /// The job is accepted.
    Accepted,
    /// Not now: try again later, in a window as long as it is open.
    Busy,
}

pub(super) struct Firing {
    pub(super) state: Arc<dyn State>,
    pub(super) environment: Environment,
    pub(super) fire: Arc<dyn Fire>,
    pub(super) schedule: Arc<Schedule>,
}

/// A job that runs. The lease keeps other processes from a second one.
pub(super) struct Run {
    pub(super) job: JobId,
    pub(super) record: Record,
    lease: Box<dyn Lease>,
}

pub(super) enum Outcome {
    /// The job was accepted.
    Started(Run),
    /// There is nothing to fire any more; this is the record that says so.
    Settled(Record),
    /// It is too late.
    TooLate,
    /// Busy, or another process is at it: later again.
    Later,
}

impl Firing {
    fn now(&self) -> DateTime<Utc> {
        self.environment.clock.now()
    }

    pub(super) async fn load(&self) -> Result<Option<Record>> {
        Ok(Record::load(&*self.state, &self.schedule.name).await?.0)
    }

    /// Fires `due` as `job`, unless it is settled. A firing that was begun keeps the job that it was begun with.
    pub(super) async fn attempt(&self, due: &Occurrence, job: JobId) -> Result<Outcome> {
        let (name, trigger) = (&self.schedule.name, &self.schedule.trigger);
        let Some(lease) = self.state.lease(&format!("schedule/{name}")).await? else {
            // Its holder may be done with this occurrence and run its job for hours yet.
            let settles = |record: &Record| record.settles(due, &self.schedule, self.now());
            return Ok(self.load().await?.filter(settles).map_or(Outcome::Later, Outcome::Settled));
        };
        let (found, expected) = Record::load(&*self.state, name).await?;
        let record = match found {
            Some(found) if found.settles(due, &self.schedule, self.now()) => return Ok(Outcome::Settled(found)),
            _ if due.is_over(self.now()) => return Ok(Outcome::TooLate),
            Some(found) if found.begins(due, trigger) => {
                if found.job != job && self.fire.knows(&found.job).await? {
                    return self.confirm(found, expected).await.map(|record| record.map_or(Outcome::Later, Outcome::Settled));
                }
                found
            }
            found => {
                let record = Record::new(found, due.clone(), job, self.now(), trigger);
                if !record.store(&*self.state, name, expected).await? {
                    return Ok(Outcome::Later);
                }
                record
            }
        };
        if due.is_over(self.now()) {
            return Ok(Outcome::TooLate);
        }
        if self.fire.fire(&self.schedule, &record.job).await? == Fired::Busy {
            return Ok(Outcome::Later);
        }
        Ok(Outcome::Started(Run { job: record.job.clone(), record: Record { at: self.now(), ..record }, lease }))
    }

    /// Stores that the job is accepted. None when another process has changed the record.
    async fn confirm(&self, record: Record, expected: Expected) -> Result<Option<Record>> {
        let record = Record { confirmed: true, ..record };
        Ok(record.store(&*self.state, &self.schedule.name, expected).await?.then_some(record))
    }

    /// Stores that the job of `run` was accepted and, with `ended`, when it ended.
    pub(super) async fn confirm_run(&self, run: &mut Run, ended: Option<DateTime<Utc>>) -> Result<()> {
        if let Some(ended) = ended.filter(|_| matches!(self.schedule.trigger, Trigger::Interval { .. })) {
            run.record.at = ended;
        } else if run.record.confirmed {
            return Ok(());
        }
        let (found, expected) = Record::load(&*self.state, &self.schedule.name).await?;
        // Gone: the schedule was removed. Another job's: the lease was lost.
        if found.is_some_and(|found| found.job == run.job) && run.lease.still_held().await.is_ok() {
            self.confirm(run.record.clone(), expected).await?;
        }
        run.record.confirmed = true;
        Ok(())
    }
}
