use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::name::{BackupId, JobId, SetName};

/// Stands at the manifest key of a backup that a cleaner gave up, so that its late publisher loses. Never removed:
/// a writer may wake after any time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aborted {
    /// The set of the backup that will never be.
    pub set: SetName,
    /// Its id.
    pub id: BackupId,
    /// The job that was writing it.
    pub job: JobId,
    /// When it was given up.
    pub aborted_at: DateTime<Utc>,
}

impl Record for Aborted {
    const FORMAT: &'static str = "backup-aborted";
    const VERSION: u64 = 1;
}
