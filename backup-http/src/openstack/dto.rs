//! What is answered, as the documents write it.

use serde::Serialize;
use utoipa::ToSchema;

use super::record::Status;

/// A volume backup.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VolumeBackupShown {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) project_id: String,
    pub(super) volume_id: String,
    pub(super) volume_name: String,
    pub(super) volume_type: String,
    /// GiB, once it is known.
    pub(super) size: Option<u64>,
    pub(super) source_zone: Option<String>,
    pub(super) plan_id: String,
    /// `bootable=true`, or empty.
    pub(super) property: String,
    pub(super) incremental: bool,
    /// The snapshot at Cinder at which the next update begins.
    pub(super) snapshot_id: String,
    pub(super) copy_zone: String,
    pub(super) copy_project: String,
    pub(super) copy_id: Option<String>,
    /// UTC, to the second, without a zone.
    pub(super) time_create: String,
    pub(super) time_update: Option<String>,
    pub(super) deleted: bool,
    pub(super) status: Status,
    pub(super) retention: u64,
    /// Why the last thing that was done to it failed.
    pub(super) fail_reason: Option<String>,
    /// Backups in the chain.
    pub(super) links: usize,
}

/// A snapshot in the list of a volume backup.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SnapshotShown {
    pub(super) id: String,
    pub(super) snapshot_id: String,
    pub(super) snapshot_name: String,
    pub(super) snapshot_timestamp: String,
    pub(super) volume_id: String,
    pub(super) volume_backup_id: String,
}

/// An instance backup.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InstanceBackupShown {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) project_id: String,
    pub(super) instance_id: String,
    pub(super) instance_name: String,
    pub(super) source_zone: Option<String>,
    pub(super) plan_id: String,
    pub(super) incremental: bool,
    pub(super) copy_zone: String,
    pub(super) copy_project: String,
    pub(super) copy_id: Option<String>,
    /// UTC, to the second, without a zone.
    pub(super) time_create: String,
    pub(super) time_update: Option<String>,
    pub(super) deleted: bool,
    pub(super) status: Status,
    pub(super) retention: u64,
    /// Why the last thing that was done to it failed.
    pub(super) fail_reason: Option<String>,
    /// Milliseconds from asking for the first snapshot until all were accepted.
    pub(super) snapshot_span_ms: Option<u64>,
    /// Whether all volumes are of one point in time.
    pub(super) one_point: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) volume_backups: Option<Vec<InstanceBackupMember>>,
}

/// A volume backup of an instance backup.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InstanceBackupMember {
    pub(super) id: String,
    pub(super) volume_id: String,
    pub(super) instance_backup_id: String,
}

/// An instance snapshot.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InstanceSnapshotShown {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) project_id: String,
    pub(super) instance_id: String,
    pub(super) plan_id: String,
    /// UTC, to the second, without a zone.
    pub(super) time_create: String,
    pub(super) time_update: Option<String>,
    pub(super) deleted: bool,
    pub(super) status: Status,
    pub(super) retention: u64,
    /// Why the last thing that was done to it failed.
    pub(super) fail_reason: Option<String>,
    /// Milliseconds from asking for the first snapshot until all were accepted.
    pub(super) snapshot_span_ms: Option<u64>,
    /// Whether all volumes are of one point in time.
    pub(super) one_point: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) volume_snapshots: Option<Vec<InstanceSnapshotMember>>,
}

/// A snapshot of an instance snapshot: its id is Cinder's.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InstanceSnapshotMember {
    pub(super) id: String,
    pub(super) volume_id: String,
    pub(super) instance_snapshot_id: String,
}

/// The id of something.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Id {
    pub(super) id: String,
}

macro_rules! wrapped {
    ($($(#[$doc:meta])* $name:ident { $key:ident: $value:ty })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Serialize, ToSchema)]
            pub(super) struct $name {
                pub(super) $key: $value,
            }
        )*
    };
}

wrapped! {
    /// Volume backups, the newest first.
    VolumeBackups { backups: Vec<VolumeBackupShown> }
    /// A volume backup.
    OneVolumeBackup { backup: VolumeBackupShown }
    /// Instance backups, the newest first.
    InstanceBackups { backups: Vec<InstanceBackupShown> }
    /// An instance backup.
    OneInstanceBackup { backup: InstanceBackupShown }
    /// Instance snapshots, the newest first.
    InstanceSnapshots { snapshots: Vec<InstanceSnapshotShown> }
    /// An instance snapshot.
    OneInstanceSnapshot { snapshot: InstanceSnapshotShown }
    /// The snapshots of a volume backup.
    BackupSnapshots { snapshots: Vec<SnapshotShown> }
    /// The id of a backup.
    BackupId { backup: Id }
    /// The id of a snapshot.
    SnapshotId { snapshot: Id }
    /// The id of a volume.
    VolumeId { volume: Id }
    /// The ids of volumes.
    VolumeIds { volumes: Vec<Id> }
    /// Why something was refused.
    Refused { message: String }
    /// What is wrong with a body or a query.
    Misshapen { detail: Vec<serde_json::Value> }
}
