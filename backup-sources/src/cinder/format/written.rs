use backup_core::{Error, Manifest, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::codes;

/// What a backup is to say of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackup {
    /// Its id at Cinder, a UUID.
    pub backup_id: String,
    /// The volume's id.
    pub volume_id: String,
    /// What it is called.
    pub name: String,
    /// What else is said of it.
    pub description: Option<String>,
    /// The time that the volume's content is of.
    pub created_at: DateTime<Utc>,
    /// The volume's size in bytes.
    pub size: u64,
    /// What Cinder knows of the volume beside its content: the JSON text that Cinder's own backups carry as `volume_meta`.
    pub volume_meta: Option<String>,
}

/// What a backup became: as it stands in the manifest's `integrity`, and is read from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Written {
    /// Its id at Cinder.
    pub backup_id: String,
    /// The id of the backup that it builds on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// The volume's id.
    pub volume_id: String,
    /// What it is called.
    pub name: String,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The time that the volume's content is of.
    pub created_at: DateTime<Utc>,
    /// The volume's size in bytes.
    pub size: u64,
    /// Bytes of a block that has a digest.
    pub block_size: u64,
    /// Bytes of the volume that one object holds at most.
    pub object_size: u64,
    /// How many data objects there are.
    pub objects: u64,
    /// What the names of the objects begin with, as the metadata has them.
    pub prefix: String,
    /// Bytes of the volume that the objects hold: all of it in a full backup, what changed in an incremental one.
    pub changed: u64,
    /// Bytes that the objects take.
    pub stored: u64,
}

impl Written {
    /// What a manifest says.
    ///
    /// # Errors
    /// `cinder.record` when it is not of a backup that was written here.
    pub fn of(manifest: &Manifest) -> Result<Self> {
        let integrity = manifest.source.integrity.as_ref().unwrap_or(&Value::Null);
        Self::deserialize(integrity).map_err(|error| {
            Error::new(&codes::RECORD, format!("backup {} does not say that it is a volume's in Cinder's format", manifest.id))
                .with_source(error)
        })
    }

    /// For [`Summary::integrity`](backup_core::Summary::integrity).
    ///
    /// # Errors
    /// `internal.error`.
    pub fn integrity(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|error| {
            Error::new(&backup_core::error::codes::INTERNAL, "a record of a backup cannot be written").with_source(error)
        })
    }
}
