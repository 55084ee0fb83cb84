//! Jobs that schedules submit.

use std::sync::{PoisonError, Weak};

use async_trait::async_trait;

use super::job::{JobKind, JobRecord, Trigger};
use super::run::SubmitOptions;
use super::{BackupService, Inner, codes};
use crate::error::{Error, Result};
use crate::name::JobId;
use crate::schedule::{self, Action, Fire, Fired, NextRun, Schedule};

/// The service, as its scheduler sees it. The service owns the scheduler, so this does not hold the service.
pub(super) struct Firing(pub(super) Weak<Inner>);

#[async_trait]
impl Fire for Firing {
    async fn fire(&self, schedule: &Schedule, job: &JobId) -> Result<Fired> {
        let stopped = || Error::new(&codes::STOPPING, "the service is gone");
        let service = BackupService { inner: self.0.upgrade().ok_or_else(stopped)? };
        match service.submit_scheduled(schedule, job).await {
            Ok(()) => Ok(Fired::Accepted),
            Err(error) if *error.code() == codes::JOB_EXISTS => Ok(Fired::Accepted),
            Err(error) if *error.code() == codes::BUSY => Ok(Fired::Busy),
            Err(error) => Err(error),
        }
    }

    async fn knows(&self, job: &JobId) -> Result<bool> {
        Ok(self.0.upgrade().is_some_and(|inner| inner.table.get(job).is_some()))
    }
}

impl BackupService {
    async fn submit_scheduled(&self, schedule: &Schedule, job: &JobId) -> Result<()> {
        let target = self.target(&schedule.set)?;
        let options = SubmitOptions { id: Some(job.clone()), schedule: Some(schedule.name.clone()), ..SubmitOptions::default() };
        match schedule.action {
            Action::Backup => self.backup(&target, options).await.map(drop),
            Action::Verify => self.verify_newest(&target, options).await.map(drop),
            Action::Prune => self.prune(&target, None, options).await.map(drop),
        }
    }

    /// Adds a schedule, or replaces the one of its name. What fired stays fired.
    ///
    /// # Errors
    /// `input.invalid`; `service.no_target` for a set that the service has no target of.
    pub fn set_schedule(&self, schedule: Schedule) -> Result<()> {
        self.target(&schedule.set)?;
        self.inner.scheduler.set(schedule.clone())?;
        let mut schedules = self.inner.schedules.write().unwrap_or_else(PoisonError::into_inner);
        schedules.insert(schedule.name.clone(), schedule);
        Ok(())
    }

    /// Removes a schedule and what is known of its firings.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn remove_schedule(&self, name: &str) -> Result<()> {
        self.inner.schedules.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        self.inner.scheduler.remove(name).await
    }

    /// What schedules start next, the earliest first.
    pub fn next_runs(&self) -> Vec<NextRun> {
        self.inner.scheduler.next_runs()
    }

    /// Lets the schedules know of a job's end: their own, or a backup that somebody made in between.
    pub(super) fn tell_schedules(&self, record: &JobRecord) {
        if let Trigger::Schedule(name) = &record.trigger {
            return self.inner.scheduler.ended(name, &record.id);
        }
        if record.kind != JobKind::Backup || record.error.is_some() {
            return;
        }
        let schedules = self.inner.schedules.read().unwrap_or_else(PoisonError::into_inner);
        let interval = |schedule: &&Schedule| matches!(schedule.trigger, schedule::Trigger::Interval { .. });
        let same = |schedule: &&Schedule| schedule.set == record.set && schedule.action == Action::Backup;
        schedules.values().filter(interval).filter(same).for_each(|schedule| self.inner.scheduler.restart(&schedule.name));
    }
}
