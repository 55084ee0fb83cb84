//! What is kept of a restore.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::RecordId;
use super::record::Status;

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
    /// in this directory.
    pub(super) directory: String,
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
}
