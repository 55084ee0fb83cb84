//! What is kept of restores.

use std::collections::HashMap;
use std::time::Duration;

use backup_core::state::Expected;
use backup_core::{BackupId, Result, SetName};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::Inner;
use super::id::RecordId;
use super::record::Status;
use crate::kept;

/// Under this prefix of the state a restore lies under its id.
const PREFIX: &str = "tidb/workflows/";

/// Under this prefix a restore that has not ended lies once more, under its backup.
const OPEN: &str = "tidb/restoring/";

/// How long a restore that has ended can be asked for.
const KEPT: TimeDelta = TimeDelta::days(30);

/// How long a look at the repository may take.
const LOOK: Duration = Duration::from_secs(30);

/// Of the restores of one backup the last one takes its pin away: only one at a time looks whether it is the last.
static PINS: Mutex<()> = Mutex::const_new(());

/// A restore.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Workflow {
    pub(super) id: RecordId,
    /// The cluster that is restored.
    pub(super) cluster: String,
    /// The backup that it is restored from,
    pub(super) record: RecordId,
    /// of this cluster,
    pub(super) source: String,
    /// in this directory,
    pub(super) directory: String,
    /// in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) files: Option<BackupId>,
    /// Whether the backup is pinned for restores alone, and not by somebody.
    #[serde(default)]
    pub(super) pinned: bool,
    pub(super) status: Status,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

impl Workflow {
    pub(super) fn set(&mut self, status: Status, message: Option<String>, now: DateTime<Utc>) {
        (self.status, self.updated_at) = (status, now);
        self.message = message.or_else(|| self.message.take());
    }

    fn open_key(&self) -> String {
        format!("{OPEN}{}/{}", self.record, self.id)
    }
}

fn key(id: RecordId) -> String {
    format!("{PREFIX}{id}")
}

impl Inner {
    pub(super) async fn workflow(&self, id: RecordId) -> Result<Option<Workflow>> {
        kept::get(&*self.state, &key(id)).await
    }

    /// Keeps what is known of a restore by now.
    pub(super) async fn keep_workflow(&self, workflow: &Workflow) -> Result<()> {
        kept::set(&*self.state, &key(workflow.id), Expected::Any, workflow).await.map(drop)
    }

    /// Keeps the backup of a restore from being removed, by anybody who works on the repository.
    ///
    /// # Errors
    /// `backup.not_found`, and those of the state and the repository: then it has to be forgotten all the same.
    pub(super) async fn hold(&self, workflow: &mut Workflow, files: &BackupId) -> Result<()> {
        let _alone = PINS.lock().await;
        let (cx, set) = (self.repository.context().with_limit(LOOK), SetName::new(workflow.source.as_str())?);
        let pinned = cx.run(self.repository.get(&cx, &set, files)).await?.pinned;
        workflow.files = Some(files.clone());
        workflow.pinned = !pinned || self.restores_of(workflow.record).await?.iter().any(|other| other.pinned);
        kept::set(&*self.state, &workflow.open_key(), Expected::Any, workflow).await?;
        cx.run(self.repository.pin(&cx, &set, files, "it is being restored")).await
    }

    /// Keeps the end of a restore. Whoever sees it finds the backup free, and what is done is not open any more even when its note stays.
    pub(super) async fn end_workflow(&self, workflow: &Workflow) -> Result<()> {
        let _alone = PINS.lock().await;
        self.unpin_last(workflow).await?;
        self.keep_workflow(workflow).await?;
        kept::remove(&*self.state, &workflow.open_key()).await
    }

    /// Takes the pin away unless another restore needs it.
    async fn unpin_last(&self, workflow: &Workflow) -> Result<()> {
        let Some(files) = workflow.files.as_ref().filter(|_| workflow.pinned) else { return Ok(()) };
        if self.restores_of(workflow.record).await?.iter().any(|other| other.id != workflow.id) {
            return Ok(());
        }
        let (cx, set) = (self.repository.context().with_limit(LOOK), SetName::new(workflow.source.as_str())?);
        cx.run(self.repository.unpin(&cx, &set, files)).await
    }

    /// A restore that was not begun is forgotten.
    pub(super) async fn forget_workflow(&self, workflow: &Workflow) {
        let forgotten = async {
            let _alone = PINS.lock().await;
            self.unpin_last(workflow).await?;
            kept::remove(&*self.state, &key(workflow.id)).await?;
            kept::remove(&*self.state, &workflow.open_key()).await
        };
        if let Err(error) = forgotten.await {
            tracing::warn!(workflow = %workflow.id, %error, "a restore that did not begin is still noted; it is ended later");
        }
    }

    /// Restores that have not ended, into one cluster or into all. What is still noted of one that has ended is put away.
    pub(super) async fn open_workflows(&self, cluster: Option<&str>) -> Result<Vec<Workflow>> {
        let mut noted: Vec<Workflow> = Vec::new();
        kept::each(&*self.state, OPEN, None, |_, workflow| noted.push(workflow)).await?;
        let mut open = Vec::new();
        for begun in noted.into_iter().filter(|workflow| cluster.is_none_or(|cluster| workflow.cluster == cluster)) {
            // Without more than the note it did not get far, and is ended like the others.
            let workflow = self.workflow(begun.id).await?.unwrap_or(begun);
            if !workflow.status.is_over() {
                open.push(workflow);
            } else if let Err(error) = kept::remove(&*self.state, &workflow.open_key()).await {
                tracing::warn!(workflow = %workflow.id, %error, "a restore that has ended is still noted as running");
            }
        }
        Ok(open)
    }

    /// The restores of a backup that have not ended.
    async fn restores_of(&self, record: RecordId) -> Result<Vec<Workflow>> {
        let mut noted: Vec<Workflow> = Vec::new();
        kept::each(&*self.state, &format!("{OPEN}{record}/"), None, |_, workflow| noted.push(workflow)).await?;
        let mut open = Vec::new();
        for begun in noted {
            let workflow = self.workflow(begun.id).await?.unwrap_or(begun);
            open.extend((!workflow.status.is_over()).then_some(workflow));
        }
        Ok(open)
    }

    /// Whether a restore reads this backup.
    pub(super) async fn is_being_restored(&self, record: RecordId) -> Result<bool> {
        Ok(!self.restores_of(record).await?.is_empty())
    }

    async fn workflows(&self) -> Result<Vec<Workflow>> {
        let mut all: Vec<Workflow> = Vec::new();
        kept::each(&*self.state, PREFIX, None, |_, workflow| all.push(workflow)).await?;
        Ok(all)
    }

    /// The newest restore into a cluster.
    pub(super) async fn last_restore(&self, cluster: &str) -> Result<Option<Workflow>> {
        let all = self.workflows().await?.into_iter();
        Ok(all.filter(|workflow| workflow.cluster == cluster).max_by_key(|workflow| workflow.created_at))
    }

    /// Forgets restores that ended long ago. The newest one of each cluster stays: it says what the cluster holds.
    pub(super) async fn forget_old_workflows(&self) -> Result<()> {
        let all = self.workflows().await?;
        let mut newest: HashMap<&str, DateTime<Utc>> = HashMap::new();
        for workflow in &all {
            let time = newest.entry(&workflow.cluster).or_insert(workflow.created_at);
            *time = workflow.created_at.max(*time);
        }
        let now = self.now();
        let is_old = |workflow: &&Workflow| workflow.status.is_over() && now - workflow.updated_at > KEPT;
        for workflow in all.iter().filter(is_old) {
            if newest.get(workflow.cluster.as_str()) != Some(&workflow.created_at) {
                kept::remove(&*self.state, &key(workflow.id)).await?;
            }
        }
        Ok(())
    }
}
