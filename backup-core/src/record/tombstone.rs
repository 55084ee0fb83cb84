use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Claims, Record, check_owner};
use crate::error::Result;
use crate::key::{KeyPrefix, ObjectKey};
use crate::layout;
use crate::name::{BackupId, SetName};

/// Says what is going to be removed with a backup, before its manifest goes; whoever finds it finishes the removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The set.
    pub set: SetName,
    /// The backup.
    pub id: BackupId,
    /// Why it is removed.
    pub reason: String,
    /// When that was decided.
    pub created_at: DateTime<Utc>,
    /// Under this prefix everything belongs to this backup alone.
    pub prefix: KeyPrefix,
    /// Objects outside of the prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<ObjectKey>,
    /// True for a file of another program that has no manifest: the tombstone alone decides.
    #[serde(default)]
    pub adopted: bool,
}

impl Record for Tombstone {
    const FORMAT: &'static str = "backup-tombstone";
    const VERSION: u64 = 1;
}

impl Claims for Tombstone {
    fn check_claims(&self, set: &SetName, id: &BackupId) -> Result<()> {
        check_owner(Self::FORMAT, (&self.set, &self.id), (set, id))?;
        layout::check_claims(set, id, &self.prefix, &self.artifacts)
    }
}
