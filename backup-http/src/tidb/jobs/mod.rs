//! What is done to clusters: one thing at a time for each, in all processes on one state together.

mod backup;
mod cancel;
mod delete;
mod lock;
mod plan;
mod rebuild;
mod recover;
mod restore;
mod run;

use std::sync::Arc;
use std::time::Duration;

use backup_core::{DirectoryName, KeyPrefix, Result, SetName};

use super::errors::{CLUSTER_NOT_FOUND, Failure, PARAMETER};
use super::id::RecordId;
use super::record::{BackupType, Mode};
use super::{Cluster, Inner};

pub(super) use recover::AT_ONCE;

/// How long one look at a cluster or a store may take that a request waits for.
const LOOK: Duration = Duration::from_secs(30);

/// How often the end of a job is tried to be kept, with a second in between.
const KEEP_TRIES: u32 = 10;

/// A backup that is asked for.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) cluster: String,
    pub(super) kind: BackupType,
    pub(super) mode: Mode,
    /// The firing that asks: the schedule's name, the job, and the id of the record.
    pub(super) firing: Option<(String, backup_core::JobId)>,
}

impl Inner {
    /// # Errors
    /// 10001 when nothing is named, 10003.
    pub(super) fn cluster(&self, id: &str) -> Result<Arc<dyn Cluster>, Failure> {
        if id.is_empty() {
            return Err(PARAMETER.because("clusterId is empty"));
        }
        self.known(id).ok_or_else(|| CLUSTER_NOT_FOUND.because(format!("there is no cluster {:?}", shown(id))))
    }

    pub(super) fn known(&self, id: &str) -> Option<Arc<dyn Cluster>> {
        self.clusters.get(id).cloned()
    }

    /// Whether a backup or a restore of that id runs in this process.
    fn is_live(&self, id: RecordId) -> bool {
        self.live().jobs.contains_key(&id)
    }

    /// What of the store belongs to one backup.
    fn prefix(cluster: &str, directory: &str) -> Result<KeyPrefix> {
        let (set, directory) = (SetName::new(cluster)?, DirectoryName::new(directory)?);
        KeyPrefix::new(format!("{set}/{}", directory.as_str()))
    }
}

/// The beginning of what a client wrote, for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
