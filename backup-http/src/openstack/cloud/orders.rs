//! What the cloud is asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use backup_core::BackupReader;
use serde::{Deserialize, Serialize};

use super::Volume;

/// What a thing of ours at the cloud is for, as its metadata says (`backup:role`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is gone when its job has ended: `temporary`.
    Temporary,
    /// The next update of an incremental backup begins at it: `base`.
    Base,
    /// A volume that a backup is being brought back to: `restoring`.
    Restoring,
    /// It belongs to a user, and was made for an instance snapshot: `kept`.
    Kept,
}

impl Role {
    /// The text of the metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Temporary => "temporary",
            Self::Base => "base",
            Self::Restoring => "restoring",
            Self::Kept => "kept",
        }
    }
}

/// A snapshot that is asked for, always with `force`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SnapshotOrder {
    /// Of this volume.
    pub volume_id: String,
    /// Its name.
    pub name: String,
    /// What for (`backup:role`).
    pub role: Role,
    /// For which work (`backup:job`).
    pub job: String,
}

impl SnapshotOrder {
    /// A snapshot of a volume.
    pub fn new(volume_id: impl Into<String>, name: impl Into<String>, role: Role, job: impl Into<String>) -> Self {
        Self { volume_id: volume_id.into(), name: name.into(), role, job: job.into() }
    }
}

/// A volume that is asked for, to bring a backup back to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VolumeOrder {
    /// Its name; none when empty.
    pub name: String,
    /// The name or id of its type; Cinder's default when empty.
    pub volume_type: String,
    /// GiB.
    pub size: u64,
    /// Whether an instance shall be able to start from it.
    pub bootable: bool,
    /// The metadata that it shall have in the end.
    pub metadata: BTreeMap<String, String>,
    /// Where it shall lie; Cinder's default when empty.
    pub availability_zone: String,
    /// For which work (`backup:job`).
    pub job: String,
}

/// What a backup is made of, and on what.
#[non_exhaustive]
pub struct SourceOrder {
    /// The volume.
    pub volume: Volume,
    /// The id of the backup in Cinder's records: a UUID, one for each link of a chain.
    pub backup_id: String,
    /// What the backup is called.
    pub name: String,
    /// A snapshot of the volume that is there, to be read and left alone. Without one the source makes its own.
    pub snapshot: Option<String>,
    /// What this one builds on; all of the volume is stored without.
    pub parent: Option<Parent>,
    /// The snapshot that is read stays, as base of the next backup. Either way its id is the revision of the backup, where there is one.
    pub keep_base: bool,
}

/// The backup that an incremental one builds on.
#[derive(Clone)]
#[non_exhaustive]
pub struct Parent {
    /// The backup.
    pub reader: Arc<dyn BackupReader>,
    /// The snapshot that it was read from, if that is still there.
    pub base: Option<String>,
}

impl Parent {
    /// A parent.
    pub fn new(reader: Arc<dyn BackupReader>, base: Option<String>) -> Self {
        Self { reader, base }
    }
}

impl fmt::Debug for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parent").field("base", &self.base).finish_non_exhaustive()
    }
}

impl SourceOrder {
    /// All of a volume.
    pub fn new(volume: Volume, backup_id: impl Into<String>, name: impl Into<String>) -> Self {
        Self { volume, backup_id: backup_id.into(), name: name.into(), snapshot: None, parent: None, keep_base: false }
    }
}

impl fmt::Debug for SourceOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceOrder")
            .field("volume", &self.volume.id)
            .field("backup_id", &self.backup_id)
            .field("snapshot", &self.snapshot)
            .field("incremental", &self.parent.is_some())
            .finish_non_exhaustive()
    }
}
