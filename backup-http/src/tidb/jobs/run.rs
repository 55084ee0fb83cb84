//! From a job that was taken on to its end.

use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::repository::BackupOutcome;
use backup_core::service::{BackupDone, JobHandle};
use backup_core::{Error, ErrorKind, Result};

use super::KEEP_TRIES;
use super::backup::Running;
use super::plan::Plan;
use crate::tidb::Inner;
use crate::tidb::record::{Record, Status};

/// How many directories are tried that turn out to be taken.
const PLACES: u32 = 100;

impl Inner {
    /// Looks after a backup until its end is recorded.
    pub(super) async fn run(self: Arc<Self>, mut running: Running, mut handle: JobHandle<BackupDone>) {
        let mut places = 0;
        let result = loop {
            let error = match self.follow(&mut running.record, handle, &running.cancel).await {
                Ok(done) => break Ok(done),
                Err(error) => error,
            };
            let may_go_on = !running.cancel.is_cancelled() && !self.stopping.is_cancelled();
            if may_go_on && running.plan.parent.is_some() && running.cluster.gc_passed(&error) {
                running.plan = Plan::full_instead(error.message());
            } else if may_go_on && *error.code() == codes::STORE_EXISTS && places < PLACES {
                places += 1;
            } else {
                break Err(error);
            }
            self.place(&mut running.record, &running.plan);
            running.record.updated_at = self.now();
            if let Err(error) = self.records.update(&running.record).await {
                break Err(error);
            }
            match self.submit(&*running.cluster, &running.record, &running.plan).await {
                Ok(next) => handle = next,
                Err(error) => break Err(error),
            }
        };
        self.end(&mut running.record, result, running.cancel.is_cancelled());
        let record = running.record;
        tracing::info!(
            cluster = record.cluster, backup = %record.id, status = record.status.as_str(), message = record.message, "ended"
        );
        let ending = self.ending(&record.cluster, running.lock);
        self.keep(&record).await;
        self.live().jobs.remove(&record.id);
        drop(ending);
        if let Some((schedule, job)) = running.firing {
            self.scheduler.ended(&schedule, &job);
        }
    }

    /// Waits for the end of one job of a backup.
    async fn follow(
        &self,
        record: &mut Record,
        handle: JobHandle<BackupDone>,
        cancel: &tokio_util::sync::CancellationToken,
    ) -> Result<BackupDone> {
        tokio::select! {
            () = handle.started() => {}
            () = cancel.cancelled() => handle.cancel(),
        }
        if !handle.record().state.is_over() && !cancel.is_cancelled() {
            record.set_status(Status::Processing, self.now());
            if let Err(error) = self.records.update(record).await {
                tracing::warn!(backup = %record.id, %error, "the start of a backup could not be noted");
            }
        }
        let id = handle.id().clone();
        let mut ended = std::pin::pin!(handle.wait());
        tokio::select! {
            ended = &mut ended => return ended,
            () = cancel.cancelled() => {}
        }
        // A job that is not known any more has ended.
        let _ = self.service.cancel(&id);
        ended.await
    }

    fn end(&self, record: &mut Record, result: Result<BackupDone>, cancelled: bool) {
        let now = self.now();
        match result {
            Ok(done) => {
                if let BackupOutcome::CompletedWithWarnings(_, warnings) = &done.outcome {
                    warnings.iter().for_each(|warning| record.note(warning));
                }
                record.finish(done.outcome.backup(), now);
            }
            Err(error) => record.fail(why(&error, cancelled), now),
        }
    }

    /// Keeps the end of a backup. When the state fails for long, the next start of the server finds the record and the truth.
    async fn keep(&self, record: &Record) {
        for _ in 0..KEEP_TRIES {
            match self.records.update(record).await {
                Ok(()) => return,
                Err(error) => tracing::error!(backup = %record.id, %error, "the end of a backup could not be kept"),
            }
            self.environment.clock.sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Why it failed, for the record.
pub(super) fn why(error: &Error, cancelled: bool) -> String {
    match error.kind() {
        ErrorKind::Cancelled if cancelled => "cancelled by request".to_owned(),
        ErrorKind::Cancelled => "cancelled: the server was stopped".to_owned(),
        _ => error.to_string(),
    }
}
