//! What an earlier process left: its jobs are shown as failed, and what they left behind is undone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backup_core::Result;
use backup_core::service::JobState;
use tokio_util::task::TaskTracker;

use super::live::Job;
use super::{Jobs, Key, locked};
use crate::backup_agent::failure;
use crate::backup_agent::record::Record;
use crate::backup_agent::work::{Logs, Run};

/// How long the start waits for cleanups and unlocks, 60 s each. After that they go on beside new jobs.
const PATIENCE: Duration = Duration::from_secs(120);

const WHY: &str = "interrupted: the agent ended while the job ran";

impl Jobs {
    /// To be called once, before the first job.
    pub(in crate::backup_agent) async fn recover(self: &Arc<Self>) -> Result<()> {
        let interrupted = self.work.interrupted().await?;
        let mut runs: HashMap<Key, Arc<dyn Run>> =
            interrupted.into_iter().map(|job| (Key::new(job.operation, job.id), job.run)).collect();
        let undoing = TaskTracker::new();
        for mut record in self.records.all(|record| !record.is_over()).await? {
            let key = Key::of(&record);
            let run = runs.remove(&key);
            let progress = run.as_ref().map(|run| run.progress()).unwrap_or_default();
            let phase = progress.stage.or_else(|| progress.logs.0.keys().next_back().copied());
            record.give_up(WHY, phase, self.environment.clock.now());
            self.records.finish(&record, &progress.logs).await?;
            tracing::warn!(job = key.id, operation = key.operation.as_str(), "was interrupted");
            if let Some(counted) = self.counted(key.operation) {
                counted.ended(JobState::Interrupted, None, 0);
            }
            if let Some(run) = run {
                self.undo(&undoing, key, Some(record), run);
            }
        }
        for (key, run) in runs {
            // It had ended, or was undone in part before the agent ended once more.
            let record = self.records.get(&key).await?;
            self.undo(&undoing, key, record, run);
        }
        undoing.close();
        tokio::select! {
            () = undoing.wait() => {}
            () = self.environment.clock.sleep(PATIENCE) => {
                tracing::warn!("cleanups and unlocks of interrupted jobs take long; they go on beside new jobs");
            }
        }
        self.sweep().await;
        Ok(())
    }

    fn undo(self: &Arc<Self>, undoing: &TaskTracker, key: Key, record: Option<Record>, run: Arc<dyn Run>) {
        let this = Arc::clone(self);
        let running = self.running.token();
        let Some(record) = record else {
            // The state knows nothing of it; the lock has to be given back all the same.
            undoing.spawn(async move {
                let _running = running;
                let cx = backup_core::JobContext::new(this.environment.clone(), Arc::new(backup_core::event::TracingObserver));
                let ending = run.run(&cx).await;
                tracing::warn!(job = key.id, failures = ?ending.failures, "a job that the state does not know was undone");
                run.noted();
            });
            return;
        };
        let job = Arc::new(Job::new(record, run, &self.environment));
        locked(&self.live).insert(key.clone(), Arc::clone(&job));
        undoing.spawn(async move {
            let _running = running;
            this.undone(&job, &key).await;
            job.end();
        });
    }

    async fn undone(&self, job: &Job, key: &Key) {
        let mut record = job.record();
        let _turn = self.turn(&job.cx, &record).await;
        // Cleanup and unlock are not cancelled by a deletion, which waits for them: each has a limit of its own.
        let ending = job.run.run(&job.cx.for_cleanup(Duration::MAX)).await;
        if let (Some(error), Some(more)) =
            (&record.error, failure::text(record.operation, &record.destination.kind, &ending.failures))
        {
            record.error = Some(format!("{error}; undoing it: {more}"));
        }
        let logs: Logs = job.run.progress().logs;
        match self.records.finish(&record, &logs).await {
            Ok(()) => {
                job.run.noted();
                tracing::info!(job = key.id, error = record.error, "what an interrupted job left behind was undone");
                job.set(record);
                self.forget(key);
            }
            Err(error) => tracing::error!(job = key.id, %error, "what was undone of an interrupted job could not be kept"),
        }
    }
}
