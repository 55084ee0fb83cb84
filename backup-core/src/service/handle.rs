//! The submitter's end of a job.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::job::{JobRecord, JobState};
use super::table::Job;
use crate::error::{Error, Result, codes};
use crate::name::JobId;

/// A submitted job whose result is awaited here. Dropped, it lets the job go on.
#[derive(Debug)]
#[must_use]
pub struct JobHandle<T> {
    pub(super) id: JobId,
    pub(super) job: Arc<Job>,
    pub(super) result: oneshot::Receiver<Result<T>>,
}

impl<T> JobHandle<T> {
    /// The job's id.
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// The job as it stands now.
    pub fn record(&self) -> JobRecord {
        self.job.snapshot()
    }

    /// Waits until the job is no longer queued. Cancel safe.
    pub async fn started(&self) {
        // The sender lives in the job, which is held here.
        let _ = self.job.changed.subscribe().wait_for(|state| *state != JobState::Queued).await;
    }

    /// Asks the job to end; it cleans up first.
    pub fn cancel(&self) {
        if let Some(cx) = &self.job.cx {
            cx.cancel_token().cancel();
        }
    }

    /// Waits for the job's end.
    ///
    /// # Errors
    /// Those of the job.
    ///
    /// # Cancel safety
    /// The job goes on when this is dropped, and its result is lost; its record stays.
    pub async fn wait(self) -> Result<T> {
        let lost = |_| Error::new(&codes::INTERNAL, "the job ended without a result");
        self.result.await.map_err(lost)?
    }
}
