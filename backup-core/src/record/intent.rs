use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Claims, Record, check_owner};
use crate::digest::Digest;
use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::layout;
use crate::name::{BackupId, JobId, SetName};

/// Says what a running backup is going to leave behind, before it leaves it; read by the janitor when the job is gone.
///
/// Immutable like every record: a renewal is a new object with the next `generation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The set that is backed up.
    pub set: SetName,
    /// The id of the backup to come.
    pub id: BackupId,
    /// The job that writes it.
    pub job: JobId,
    /// Where its manifest will stand.
    pub manifest: ObjectKey,
    /// Under this prefix everything belongs to this backup alone.
    pub prefix: KeyPrefix,
    /// Objects outside of the prefix, each named just before it becomes visible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<IntendedArtifact>,
    /// Backups that this one builds on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BackupId>,
    /// When the backup began.
    pub created_at: DateTime<Utc>,
    /// Until when the job is taken for alive unless it renews.
    pub expires_at: DateTime<Utc>,
    /// Counts the renewals, from 0.
    pub generation: u64,
}

/// An object about to become visible under a name that the backup does not own alone. The janitor removes it only while it is still this object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntendedArtifact {
    /// Its key.
    pub key: ObjectKey,
    /// Its stored size.
    pub size: u64,
    /// The SHA-256 of its stored bytes.
    pub sha256: Digest,
}

impl Record for Intent {
    const FORMAT: &'static str = "backup-intent";
    const VERSION: u64 = 1;
}

impl Claims for Intent {
    fn check_claims(&self, set: &SetName, id: &BackupId) -> Result<()> {
        check_owner(Self::FORMAT, (&self.set, &self.id), (set, id))?;
        if self.manifest != layout::manifest_key(set, id)? {
            return Err(Error::new(
                &codes::RECORD_CORRUPT,
                format!("the intent of {id} names {} as its manifest", self.manifest),
            ));
        }
        layout::check_claims(set, id, &self.prefix, self.artifacts.iter().map(|artifact| &artifact.key))
    }
}
