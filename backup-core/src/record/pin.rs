use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::name::{BackupId, SetName};

/// Exempts a backup from retention while it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The set.
    pub set: SetName,
    /// The backup.
    pub id: BackupId,
    /// When it was pinned.
    pub pinned_at: DateTime<Utc>,
    /// Why, in the words of whoever pinned it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Record for Pin {
    const FORMAT: &'static str = "backup-pin";
    const VERSION: u64 = 1;
}
