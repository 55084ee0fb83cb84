//! Bringing a backup back into a cluster.

use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::service::{JobHandle, SubmitOptions, Target};
use backup_core::source::{RestoreReport, RestoreTarget};
use backup_core::{BackupId, BackupRequest, Error, ErrorKind, Result, SetName};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::lock::Lock;
use super::run::why;
use super::{KEEP_TRIES, LOOK};
use crate::tidb::errors::{Failure, PARAMETER, QUERY_FAILED, RECORD_INVALID, WORKFLOW_START};
use crate::tidb::id::RecordId;
use crate::tidb::record::{Record, Status};
use crate::tidb::workflow::Workflow;
use crate::tidb::{Cluster, Inner, LiveJob};

/// A restore that was taken on.
#[derive(Debug)]
pub(in crate::tidb) struct Begun {
    pub(in crate::tidb) id: RecordId,
    /// What to know of it beforehand.
    pub(in crate::tidb) warnings: Vec<String>,
}

impl Inner {
    /// Takes a restore on.
    ///
    /// # Errors
    /// 10001, 10003, 20604, 20610 (also when the backup does not suit the cluster, or what it builds on is not there), 20114, 40103: then
    /// nothing was started.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::tidb) async fn restore(self: &Arc<Self>, cluster: &str, backup: &str) -> Result<Begun, Failure> {
        if backup.is_empty() {
            return Err(PARAMETER.because("backupId is empty"));
        }
        let into = self.cluster(cluster)?;
        let record = self.restorable(backup).await?;
        let lock = self.lock(cluster).await?;
        let (id, now) = (RecordId::random(&*self.environment.random), self.now());
        let mut workflow = Workflow {
            id,
            cluster: cluster.to_owned(),
            record: record.id,
            source: record.cluster.clone(),
            directory: record.directory.clone(),
            files: None,
            pinned: false,
            status: Status::Initializing,
            created_at: now,
            updated_at: now,
            message: None,
        };
        let cancel = CancellationToken::new();
        self.live().jobs.insert(id, LiveJob { cancel: cancel.clone(), job: None });
        match self.prepare(&*into, &record, &mut workflow).await {
            Ok((handle, warnings)) => {
                tracing::info!(cluster, backup = %record.id, workflow = %id, "a restore was accepted");
                self.running.spawn(Arc::clone(self).run_restore(workflow, handle, cancel, lock));
                Ok(Begun { id, warnings })
            }
            Err(failure) => {
                self.forget_workflow(&workflow).await;
                self.live().jobs.remove(&id);
                Err(failure)
            }
        }
    }

    /// The record of a backup that can be restored.
    async fn restorable(&self, backup: &str) -> Result<Record, Failure> {
        let none = || QUERY_FAILED.because(format!("there is no backup {:?}", super::shown(backup)));
        let id = RecordId::parse(backup).ok_or_else(none)?;
        let record = self.records.get(id).await.map_err(|error| QUERY_FAILED.caused(&error))?.ok_or_else(none)?;
        match record.status {
            Status::Finished => Ok(record),
            status => Err(RECORD_INVALID.because(format!("the backup is {}", status.as_str()))),
        }
    }

    /// From a backup that cannot be removed any more to a job.
    async fn prepare(
        &self,
        into: &dyn Cluster,
        record: &Record,
        workflow: &mut Workflow,
    ) -> Result<(JobHandle<RestoreReport>, Vec<String>), Failure> {
        let failed = |error: Error| WORKFLOW_START.caused(&error);
        let files = record.backup.as_ref().ok_or_else(|| RECORD_INVALID.because("the backup has no files"))?;
        self.hold(workflow, files).await.map_err(|error| blame(&error))?;
        // Held too late, it may be gone.
        self.restorable(&record.id.to_string()).await?;
        self.check_order(record, workflow, files).await?;
        let warnings = self.check_restore(into, record, files).await?;
        self.keep_workflow(workflow).await.map_err(failed)?;
        let target = self.restore_target(into, record).map_err(failed)?;
        let options = SubmitOptions::default().label("workflow", workflow.id.to_string());
        let handle = self.service.restore(&target, files, RestoreTarget::new(json!({})), options).await.map_err(failed)?;
        if let Some(live) = self.live().jobs.get_mut(&workflow.id) {
            live.job = Some(handle.id().clone());
        }
        Ok((handle, warnings))
    }

    fn restore_target(&self, into: &dyn Cluster, record: &Record) -> Result<Target> {
        let request = BackupRequest::new(SetName::new(record.cluster.as_str())?);
        Ok(Target::new(self.repository.clone(), into.full(), request))
    }

    /// Whether the cluster holds what an incremental backup adds to.
    async fn check_order(&self, record: &Record, workflow: &Workflow, files: &BackupId) -> Result<(), Failure> {
        let (cx, set) = (self.repository.context().with_limit(LOOK), SetName::new(record.cluster.as_str()));
        let set = set.map_err(|error| RECORD_INVALID.caused(&error))?;
        let info = cx.run(self.repository.get(&cx, &set, files)).await.map_err(|error| blame(&error))?;
        let Some(parent) = info.parents.last() else { return Ok(()) };
        let last = self.last_restore(&workflow.cluster).await.map_err(|error| WORKFLOW_START.caused(&error))?;
        if last.is_some_and(|last| last.status == Status::Finished && last.files.as_ref() == Some(parent)) {
            return Ok(());
        }
        Err(RECORD_INVALID.because(format!(
            "an incremental backup is restored right after the one that it adds to: restore the full one into {} first, then each incremental one in the order in which they were made",
            workflow.cluster
        )))
    }

    /// Whether the backup suits the cluster, before anything is taken on.
    async fn check_restore(&self, into: &dyn Cluster, record: &Record, files: &BackupId) -> Result<Vec<String>, Failure> {
        let cx = self.repository.context().with_limit(LOOK);
        let (source, target) = (into.full(), RestoreTarget::new(json!({})).dry_run(true));
        let set = SetName::new(record.cluster.as_str()).map_err(|error| RECORD_INVALID.caused(&error))?;
        let checked = cx.run(self.repository.restore(&cx, &*source, &set, files, &target)).await;
        checked.map(|report| report.warnings).map_err(|error| blame(&error))
    }

    async fn run_restore(
        self: Arc<Self>,
        mut workflow: Workflow,
        handle: JobHandle<RestoreReport>,
        cancel: CancellationToken,
        lock: Lock,
    ) {
        tokio::select! {
            () = handle.started() => {}
            () = cancel.cancelled() => handle.cancel(),
        }
        if !handle.record().state.is_over() && !cancel.is_cancelled() {
            workflow.set(Status::Processing, None, self.now());
            if let Err(error) = self.keep_workflow(&workflow).await {
                tracing::warn!(workflow = %workflow.id, %error, "the start of a restore could not be noted");
            }
        }
        match self.ended(handle, &cancel).await {
            Ok(report) => {
                let warnings = (!report.warnings.is_empty()).then(|| report.warnings.join("; "));
                workflow.set(Status::Finished, warnings, self.now());
            }
            Err(error) => workflow.set(Status::Failed, Some(why(&error, cancel.is_cancelled())), self.now()),
        }
        tracing::info!(
            cluster = workflow.cluster, workflow = %workflow.id, status = workflow.status.as_str(), message = workflow.message,
            "a restore ended"
        );
        let _ending = self.ending(&workflow.cluster, lock);
        for _ in 0..KEEP_TRIES {
            match self.end_workflow(&workflow).await {
                Ok(()) => break,
                Err(error) => tracing::error!(workflow = %workflow.id, %error, "the end of a restore could not be kept"),
            }
            self.environment.clock.sleep(Duration::from_secs(1)).await;
        }
        self.live().jobs.remove(&workflow.id);
        if let Err(error) = self.forget_old_workflows().await {
            tracing::warn!(%error, "restores that ended long ago could not be forgotten");
        }
    }
}

/// The backup is to blame for its version and for what it lacks, the cluster and its configuration for all else.
fn blame(error: &Error) -> Failure {
    let of_version = *error.code() == codes::COMPAT_REFUSED || error.code().name.ends_with(".version");
    match error.kind() {
        ErrorKind::Unsupported | ErrorKind::Corrupt | ErrorKind::NotFound => RECORD_INVALID.caused(error),
        _ if of_version => RECORD_INVALID.caused(error),
        _ => WORKFLOW_START.caused(error),
    }
}
