//! Taking a backup on: lock, plan, record, job.

use std::sync::Arc;

use backup_core::service::{BackupDone, JobHandle, SubmitOptions, Target};
use backup_core::{BackupRequest, DirectoryName, JobId, Result, SetName};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::Order;
use super::lock::Lock;
use super::plan::Plan;
use crate::tidb::errors::{CREATE_FAILED, Failure, WORKFLOW_START};
use crate::tidb::id::RecordId;
use crate::tidb::record::{BackupType, Record, Status};
use crate::tidb::time;
use crate::tidb::{Cluster, Inner, LiveJob};

/// Labels of the manifest, from which records are made again when the state is lost.
pub(super) const ID_LABEL: &str = "tidb-record";
pub(super) const TYPE_LABEL: &str = "tidb-type";
pub(super) const MODE_LABEL: &str = "tidb-mode";
pub(super) const CREATED_LABEL: &str = "tidb-created";

/// A backup under way: all that its end needs.
pub(super) struct Running {
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) record: Record,
    pub(super) plan: Plan,
    pub(super) cancel: CancellationToken,
    /// Held until the end is recorded.
    pub(super) lock: Lock,
}

/// The end of what runs, however it comes: nothing is taken for alive any more, and its schedule goes on.
struct Leave {
    inner: Arc<Inner>,
    id: RecordId,
    firing: Option<(String, JobId)>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.inner.live().jobs.remove(&self.id);
        if let Some((schedule, job)) = &self.firing {
            self.inner.scheduler.ended(schedule, job);
        }
    }
}

impl Inner {
    /// Takes a backup on and returns its record's id.
    ///
    /// # Errors
    /// 10001, 10003, 20114, 20602, 40103: then nothing was started.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::tidb) async fn back_up(self: &Arc<Self>, order: Order) -> Result<RecordId, Failure> {
        let cluster = self.cluster(&order.cluster)?;
        let lock = self.lock(&order.cluster).await?;
        let plan = self.plan(&*cluster, &order).await?;
        let id = match &order.firing {
            Some((_, job)) => RecordId::of_firing(job),
            None => RecordId::random(&*self.environment.random),
        };
        let record = self.new_record(id, &order, &plan);
        let cancel = CancellationToken::new();
        // Before anybody can see the record, so that whoever cancels finds the job.
        self.live().jobs.insert(id, LiveJob { cancel: cancel.clone(), job: None });
        let begun = self.begin(&*cluster, &record, &plan).await;
        let handle = match begun {
            Ok(handle) => handle,
            Err(failure) => {
                self.live().jobs.remove(&id);
                return Err(failure);
            }
        };
        tracing::info!(cluster = order.cluster, backup = %id, kind = plan.kind.as_str(), mode = order.mode.as_str(), "accepted");
        let leave = Leave { inner: Arc::clone(self), id, firing: order.firing };
        let run = Arc::clone(self).run(Running { cluster, record, plan, cancel, lock }, handle);
        self.running.spawn(async move {
            let _leave = leave;
            run.await;
        });
        Ok(id)
    }

    fn new_record(&self, id: RecordId, order: &Order, plan: &Plan) -> Record {
        let now = self.now();
        let mut record = Record {
            id,
            cluster: order.cluster.clone(),
            kind: plan.kind,
            mode: order.mode,
            status: Status::Initializing,
            directory: String::new(),
            path: String::new(),
            size: 0,
            tso: 0,
            started_at: now,
            ended_at: now,
            created_at: now,
            updated_at: now,
            message: None,
            backup: None,
        };
        self.place(&mut record, plan);
        record
    }

    /// Gives a record the next directory of its cluster.
    pub(super) fn place(&self, record: &mut Record, plan: &Plan) {
        record.kind = plan.kind;
        if let Some(warning) = &plan.warning {
            record.message = Some(warning.clone());
        }
        record.directory = format!("{}-{}", self.next_second(&record.cluster), plan.kind.as_str());
        record.path = self.path_of(&record.cluster, &record.directory);
    }

    pub(super) fn path_of(&self, cluster: &str, directory: &str) -> String {
        match self.path.trim_end_matches('/') {
            "" => format!("{cluster}/{directory}"),
            path => format!("{path}/{cluster}/{directory}"),
        }
    }

    /// This second, or the first one after that of the cluster's last directory.
    fn next_second(&self, cluster: &str) -> String {
        let now = self.now().duration_trunc(TimeDelta::seconds(1)).unwrap_or_else(|_| self.now());
        let mut live = self.live();
        let after = |last: &DateTime<Utc>| last.checked_add_signed(TimeDelta::seconds(1)).unwrap_or(*last);
        let second = live.directories.get(cluster).map_or(now, |last| after(last).max(now));
        live.directories.insert(cluster.to_owned(), second);
        time::directory(self.zone, second)
    }

    /// The record first: whatever runs is in the state.
    async fn begin(&self, cluster: &dyn Cluster, record: &Record, plan: &Plan) -> Result<JobHandle<BackupDone>, Failure> {
        match self.records.create(record).await {
            Ok(true) => {}
            Ok(false) => return Err(CREATE_FAILED.because("there is a record of that id and time")),
            Err(error) => {
                // It may be there all the same.
                let _ = self.records.remove(record).await;
                return Err(CREATE_FAILED.caused(&error));
            }
        }
        match self.submit(cluster, record, plan).await {
            Ok(handle) => Ok(handle),
            Err(error) => {
                if let Err(error) = self.records.remove(record).await {
                    tracing::error!(backup = %record.id, %error, "the record of a backup that did not begin stays");
                }
                Err(WORKFLOW_START.caused(&error))
            }
        }
    }

    pub(super) async fn submit(&self, cluster: &dyn Cluster, record: &Record, plan: &Plan) -> Result<JobHandle<BackupDone>> {
        let id = record.id.to_string();
        let request = BackupRequest::new(SetName::new(record.cluster.as_str())?)
            .directory(DirectoryName::new(record.directory.as_str())?)
            .parents(plan.parent.iter().map(|(parent, _)| parent.clone()).collect())
            .label(ID_LABEL, id.as_str())
            .label(TYPE_LABEL, plan.kind.as_str())
            .label(MODE_LABEL, record.mode.as_str())
            .label(CREATED_LABEL, record.created_at.to_rfc3339());
        let source = match (plan.kind, &plan.parent) {
            (BackupType::Incr, Some((_, since))) => cluster.incremental(*since),
            _ => cluster.full(),
        };
        let target = Target::new(self.repository.clone(), source, request);
        let handle = self.service.backup(&target, SubmitOptions::default().label("backup", id)).await?;
        if let Some(live) = self.live().jobs.get_mut(&record.id) {
            live.job = Some(handle.id().clone());
        }
        Ok(handle)
    }
}
