use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::name::{BackupId, SetName};

/// What a verify found. A new object each time; the newest counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// The set.
    pub set: SetName,
    /// The backup.
    pub id: BackupId,
    /// When it was checked.
    pub verified_at: DateTime<Utc>,
    /// What was checked: `exists`, `size`, `digest`, and what the source added.
    pub checks: Vec<String>,
    /// What is wrong; empty when the backup is good.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong with a stored backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The error code: `artifact.corrupt`, `artifact.missing`, `record.corrupt`, or `source.failed` for what the source found.
    pub code: String,
    /// On what, and what.
    pub text: String,
}

impl Verified {
    /// True when nothing was found wrong.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
}

impl Record for Verified {
    const FORMAT: &'static str = "backup-verified";
    const VERSION: u64 = 1;
}
