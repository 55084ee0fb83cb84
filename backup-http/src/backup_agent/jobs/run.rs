//! From the slot of a job to its end.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use backup_core::lease::{Lease, Leases};
use backup_core::service::JobState;
use backup_core::{Digest, JobContext, Result, SetName};
use futures::FutureExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::live::Job;
use super::{Jobs, Key};
use crate::backup_agent::record::{Record, Status};
use crate::backup_agent::work::Ending;
use crate::observe::CountedJob;

/// How the end of a job is counted.
fn outcome(job: &Job, record: &Record) -> JobState {
    match record.status {
        Status::Succeeded => JobState::Succeeded,
        _ if job.cx.cancel_token().is_cancelled() => JobState::Cancelled,
        _ => JobState::Failed,
    }
}

impl Jobs {
    /// Runs a job that was accepted. The slot is free again before the end can be seen.
    pub(super) async fn run(self: Arc<Self>, job: Arc<Job>, slot: (OwnedSemaphorePermit, TaskTrackerToken)) {
        let (slot, _running) = slot;
        let mut record = job.record();
        let key = Key::of(&record);
        let mut counted = self.counted(key.operation);
        let ending = AssertUnwindSafe(self.turn_of(&job, &mut record, &mut counted)).catch_unwind().await;
        let moved = ending.as_ref().ok().and_then(|ending| ending.as_ref().ok()).map_or(0, |ending| ending.moved);
        let (now, stage) = (self.environment.clock.now(), job.run.progress().stage);
        match ending {
            Ok(Ok(ending)) => record.end(&ending, now),
            // It was cancelled before its turn came.
            Ok(Err(error)) => record.give_up(error.message(), None, now),
            Err(_) => {
                tracing::error!(job = key.id, "the job's code panicked");
                record.give_up("an internal error: the log of the agent says where", stage, now);
            }
        }
        tracing::info!(job = key.id, operation = key.operation.as_str(), status = ?record.status, error = record.error, "ended");
        if let Some(counted) = counted {
            let took = record.started_at.map(|_| Duration::from_millis(record.execution_ms));
            counted.ended(outcome(&job, &record), took, moved);
        }
        let kept = self.records.finish(&record, &job.run.progress().logs).await;
        drop(slot);
        job.set(record);
        match kept {
            Ok(()) => {
                self.forget(&key);
                job.run.noted();
            }
            Err(error) => {
                tracing::error!(job = key.id, %error, "the end of a job could not be kept; it is shown until the agent ends")
            }
        }
        job.end();
        self.sweep().await;
    }

    async fn turn_of(&self, job: &Job, record: &mut Record, counted: &mut Option<CountedJob>) -> Result<Ending> {
        let _turn = self.turn(&job.cx, record).await?;
        if let Some(counted) = counted {
            counted.started();
        }
        let clock = &self.environment.clock;
        let began = clock.monotonic();
        record.started_at = Some(clock.now());
        job.set(record.clone());
        if let Err(error) = self.records.update(record).await {
            tracing::warn!(job = record.id, %error, "the start of a job could not be noted");
        }
        let ending = job.run.run(&job.cx).await;
        let took = clock.monotonic().saturating_sub(began);
        record.execution_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Ok(ending)
    }

    /// The turn of a job among those of its database.
    pub(super) async fn turn(&self, cx: &JobContext, record: &Record) -> Result<Box<dyn Lease>> {
        // Host and database may hold anything; a digest of them is a name.
        let name = Digest::of(format!("{}\0{}", record.host, record.database).as_bytes()).to_string();
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        self.turns.acquire(cx, &SetName::new(format!("database/{name}"))?, true).await
    }
}
