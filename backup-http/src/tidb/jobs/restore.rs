//! Bringing a backup back into a cluster.

use std::sync::Arc;
use std::time::Duration;

use backup_core::service::{JobHandle, SubmitOptions, Target};
use backup_core::source::{RestoreReport, RestoreTarget};
use backup_core::state::Expected;
use backup_core::{BackupId, BackupRequest, ErrorKind, Result, SetName};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::lock::Lock;
use super::run::why;
use super::{KEEP_TRIES, LOOK};
use crate::tidb::errors::{Failure, PARAMETER, QUERY_FAILED, RECORD_INVALID, WORKFLOW_START};
use crate::tidb::id::RecordId;
use crate::tidb::record::{Record, Status};
use crate::tidb::workflow::Workflow;
use crate::tidb::{Cluster, Inner, LiveJob, kept};

/// Under this prefix of the state a restore lies under its id.
const PREFIX: &str = "tidb/workflows/";

/// Under this prefix a restore that has not ended is named once more.
const OPEN: &str = "tidb/restoring/";

fn key(id: RecordId) -> String {
    format!("{PREFIX}{id}")
}

fn open_key(workflow: &Workflow) -> String {
    format!("{OPEN}{}/{}", workflow.record, workflow.id)
}

impl Inner {
    /// Takes a restore on and returns its id.
    ///
    /// # Errors
    /// 10001, 10003, 20604, 20610 (also when the backup does not suit the cluster), 20114, 40103: then nothing was started.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::tidb) async fn restore(self: &Arc<Self>, cluster: &str, backup: &str) -> Result<RecordId, Failure> {
        if backup.is_empty() {
            return Err(PARAMETER.because("backupId is empty"));
        }
        let into = self.cluster(cluster)?;
        let none = || QUERY_FAILED.because(format!("there is no backup {:?}", super::shown(backup)));
        let record = match RecordId::parse(backup) {
            Some(id) => self.records.get(id).await.map_err(|error| QUERY_FAILED.caused(&error))?.ok_or_else(none)?,
            None => return Err(none()),
        };
        let unfit = || RECORD_INVALID.because(format!("the backup is {}", record.status.as_str()));
        let files = record.backup.clone().filter(|_| record.status == Status::Finished).ok_or_else(unfit)?;
        let lock = self.lock(cluster).await?;
        self.check_restore(&*into, &record, &files).await?;
        self.begin_restore(into, &record, &files, lock).await.map_err(|error| WORKFLOW_START.caused(&error))
    }

    fn restore_target(&self, into: &dyn Cluster, record: &Record) -> Result<Target> {
        let request = BackupRequest::new(SetName::new(record.cluster.as_str())?);
        Ok(Target::new(self.repository.clone(), into.full(), request))
    }

    /// Whether the backup suits the cluster, before anything is taken on.
    async fn check_restore(&self, into: &dyn Cluster, record: &Record, files: &BackupId) -> Result<(), Failure> {
        let cx = self.repository.context().with_limit(LOOK);
        let (source, target) = (into.full(), RestoreTarget::new(json!({})).dry_run(true));
        let set = SetName::new(record.cluster.as_str()).map_err(|error| RECORD_INVALID.caused(&error))?;
        let checked = cx.run(self.repository.restore(&cx, &*source, &set, files, &target)).await;
        checked.map(drop).map_err(|error| match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Cancelled | ErrorKind::Internal => {
                WORKFLOW_START.caused(&error)
            }
            _ => RECORD_INVALID.caused(&error),
        })
    }

    async fn begin_restore(
        self: &Arc<Self>,
        into: Arc<dyn Cluster>,
        record: &Record,
        files: &BackupId,
        lock: Lock,
    ) -> Result<RecordId> {
        let (id, now) = (RecordId::random(&*self.environment.random), self.now());
        let workflow = Workflow {
            id,
            cluster: into.id().to_owned(),
            record: record.id,
            source: record.cluster.clone(),
            directory: record.directory.clone(),
            status: Status::Initializing,
            created_at: now,
            updated_at: now,
            message: None,
        };
        self.live().jobs.insert(id, LiveJob { cancel: CancellationToken::new(), job: None });
        let begun = async {
            kept::set(&*self.state, &key(id), Expected::Absent, &workflow).await?;
            kept::set(&*self.state, &open_key(&workflow), Expected::Any, &workflow.id).await?;
            let target = self.restore_target(&*into, record)?;
            let options = SubmitOptions::default().label("workflow", id.to_string());
            self.service.restore(&target, files, RestoreTarget::new(json!({})), options).await
        };
        match begun.await {
            Ok(handle) => {
                if let Some(live) = self.live().jobs.get_mut(&id) {
                    live.job = Some(handle.id().clone());
                }
                tracing::info!(cluster = workflow.cluster, backup = %record.id, workflow = %id, "a restore was accepted");
                self.running.spawn(Arc::clone(self).run_restore(workflow, handle, lock));
                Ok(id)
            }
            Err(error) => {
                self.live().jobs.remove(&id);
                let _ = kept::remove(&*self.state, &open_key(&workflow)).await;
                let _ = kept::remove(&*self.state, &key(id)).await;
                Err(error)
            }
        }
    }

    async fn run_restore(self: Arc<Self>, mut workflow: Workflow, handle: JobHandle<RestoreReport>, lock: Lock) {
        handle.started().await;
        if !handle.record().state.is_over() {
            workflow.set(Status::Processing, None, self.now());
            if let Err(error) = kept::set(&*self.state, &key(workflow.id), Expected::Any, &workflow).await {
                tracing::warn!(workflow = %workflow.id, %error, "the start of a restore could not be noted");
            }
        }
        match handle.wait().await {
            Ok(report) => {
                let warnings = (!report.warnings.is_empty()).then(|| report.warnings.join("; "));
                workflow.set(Status::Finished, warnings, self.now());
            }
            Err(error) => workflow.set(Status::Failed, Some(why(&error, false)), self.now()),
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
    }

    /// Keeps the end of a restore.
    pub(super) async fn end_workflow(&self, workflow: &Workflow) -> Result<()> {
        kept::set(&*self.state, &key(workflow.id), Expected::Any, workflow).await?;
        kept::remove(&*self.state, &open_key(workflow)).await
    }

    pub(in crate::tidb) async fn workflow(&self, id: RecordId) -> Result<Option<Workflow>> {
        kept::get(&*self.state, &key(id)).await
    }

    /// Restores that have not ended, into one cluster or into all.
    pub(super) async fn open_workflows(&self, cluster: Option<&str>) -> Result<Vec<Workflow>> {
        let mut ids: Vec<RecordId> = Vec::new();
        kept::each(&*self.state, OPEN, None, |_, id| ids.push(id)).await?;
        let mut open = Vec::new();
        for id in ids {
            let found = self.workflow(id).await?;
            open.extend(found.filter(|workflow| cluster.is_none_or(|cluster| workflow.cluster == cluster)));
        }
        Ok(open)
    }

    /// Whether a restore reads this backup.
    pub(super) async fn is_being_restored(&self, record: RecordId) -> Result<bool> {
        Ok(!self.state.range(&format!("{OPEN}{record}/"), None, 1).await?.is_empty())
    }
}
