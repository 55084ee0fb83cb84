//! From a job that was taken on to its end.

use std::sync::Arc;
use std::time::Duration;

use backup_core::error::{Effect, codes};
use backup_core::repository::{BackupInfo, BackupOutcome};
use backup_core::service::{BackupDone, JobHandle};
use backup_core::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use super::KEEP_TRIES;
use super::backup::Running;
use super::plan::Plan;
use crate::tidb::Inner;
use crate::tidb::record::{Record, Status};

/// How many directories are tried that turn out to be taken.
const PLACES: u32 = 100;

/// The pause between tries when the state or the store fails for long.
const PAUSE: Duration = Duration::from_secs(10);

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
        let result = self.settle(&running.record, result).await;
        let cancelled = running.cancel.is_cancelled();
        match result {
            Some(result) => self.end(&mut running.record, result, cancelled),
            // Left open: whoever starts next finds the truth.
            None => tracing::error!(backup = %running.record.id, "stopped before it was known whether the backup was published"),
        }
        let record = running.record;
        tracing::info!(
            cluster = record.cluster, backup = %record.id, status = record.status.as_str(), message = record.message, "ended"
        );
        let mut lock = running.lock;
        while record.status.is_over() {
            let ending = self.ending(&record.cluster, lock);
            if self.keep(&record).await || self.stopping.is_cancelled() {
                self.live().jobs.remove(&record.id);
                drop(ending);
                break;
            }
            // The cluster stays locked, but nobody waits for it.
            let Some(back) = ending.take_back() else { break };
            lock = back;
            self.pause().await;
        }
    }

    /// Waits for the end of one job of a backup.
    async fn follow(&self, record: &mut Record, handle: JobHandle<BackupDone>, cancel: &CancellationToken) -> Result<BackupDone> {
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
        self.ended(handle, cancel).await
    }

    /// Waits for the end of a job, and asks it to end when `cancel` does.
    pub(super) async fn ended<T>(&self, handle: JobHandle<T>, cancel: &CancellationToken) -> Result<T> {
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

    fn end(&self, record: &mut Record, result: Result<Ended>, cancelled: bool) {
        let now = self.now();
        match result {
            Ok(Ended::Found(info)) => record.finish(&info, info.published_at.unwrap_or(now)),
            Ok(Ended::Done(done)) => {
                if let BackupOutcome::CompletedWithWarnings(_, warnings) = &done.outcome {
                    warnings.iter().for_each(|warning| record.note(warning));
                }
                record.finish(done.outcome.backup(), now);
            }
            Err(error) => record.fail(why(&error, cancelled), now),
        }
    }

    /// The end of a backup whose last answer may have been lost, as the store says it; `None` when a stop came first.
    async fn settle(&self, record: &Record, result: Result<BackupDone>) -> Option<Result<Ended>> {
        let error = match result {
            Ok(done) => return Some(Ok(Ended::Done(done))),
            Err(error) if error.effect() == Effect::None => return Some(Err(error)),
            Err(error) => error,
        };
        loop {
            match self.published(record).await {
                Ok(Some(info)) => return Some(Ok(Ended::Found(info))),
                Ok(None) => return Some(Err(error)),
                Err(error) => tracing::warn!(backup = %record.id, %error, "whether a backup was published is not known yet"),
            }
            if self.stopping.is_cancelled() {
                return None;
            }
            self.pause().await;
        }
    }

    async fn pause(&self) {
        tokio::select! {
            () = self.environment.clock.sleep(PAUSE) => {}
            () = self.stopping.cancelled() => {}
        }
    }

    /// Keeps the end of a backup; false when the state failed for long.
    async fn keep(&self, record: &Record) -> bool {
        for _ in 0..KEEP_TRIES {
            match self.records.update(record).await {
                Ok(()) => return true,
                Err(error) => tracing::error!(backup = %record.id, %error, "the end of a backup could not be kept"),
            }
            self.environment.clock.sleep(Duration::from_secs(1)).await;
        }
        false
    }
}

/// A backup that is published.
enum Ended {
    Done(BackupDone),
    /// The store has it, although its job failed.
    Found(Arc<BackupInfo>),
}

/// Why it failed, for the record.
pub(super) fn why(error: &Error, cancelled: bool) -> String {
    match error.kind() {
        ErrorKind::Cancelled if cancelled => "cancelled by request".to_owned(),
        ErrorKind::Cancelled => "cancelled: the server was stopped".to_owned(),
        _ => error.to_string(),
    }
}
