//! What is kept: all that the documents show, what the next step needs, and no secret.

use backup_core::{BackupId, SetName};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// It is being made.
    Building,
    /// It is there, and whole.
    Active,
    /// What was done last failed. A backup that was whole before still is.
    Error,
    /// It is moved on.
    Updating,
    /// It is being removed.
    Deleting,
    /// It is of another zone, which sends its data.
    Importing,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Active => "active",
            Self::Error => "error",
            Self::Updating => "updating",
            Self::Deleting => "deleting",
            Self::Importing => "importing",
        }
    }
}

/// An object of which many are kept and listed.
pub(super) trait Kept: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Under this prefix of the state they lie, each under its project and its id.
    const PREFIX: &'static str;
    /// What people call one.
    const WHAT: &'static str;

    fn id(&self) -> &str;
    fn project(&self) -> &str;
    fn name(&self) -> &str;
    fn created_at(&self) -> DateTime<Utc>;
    fn status(&self) -> Status;
    /// The process that works on it.
    fn owner(&self) -> Option<&str>;
    fn set_owner(&mut self, owner: Option<String>);

    fn key(&self) -> String {
        key::<Self>(self.project(), self.id())
    }
}

pub(super) fn key<R: Kept>(project: &str, id: &str) -> String {
    format!("{}{project}/{id}", R::PREFIX)
}

macro_rules! kept {
    ($type:ident, $prefix:literal, $what:literal) => {
        impl Kept for $type {
            const PREFIX: &'static str = $prefix;
            const WHAT: &'static str = $what;

            fn id(&self) -> &str {
                &self.id
            }

            fn project(&self) -> &str {
                &self.project_id
            }

            fn name(&self) -> &str {
                &self.name
            }

            fn created_at(&self) -> DateTime<Utc> {
                self.created_at
            }

            fn status(&self) -> Status {
                self.status
            }

            fn owner(&self) -> Option<&str> {
                self.owner.as_deref()
            }

            fn set_owner(&mut self, owner: Option<String>) {
                self.owner = owner;
            }
        }
    };
}

kept!(VolumeBackup, "openstack/volume-backups/", "Volume backup");
kept!(InstanceBackup, "openstack/instance-backups/", "Instance backup");
kept!(InstanceSnapshot, "openstack/instance-snapshots/", "Instance snapshot");

/// A volume backup: one point for a full one, a chain for an incremental one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct VolumeBackup {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) project_id: String,
    pub(super) volume_id: String,
    pub(super) volume_name: String,
    pub(super) volume_type: String,
    /// GiB.
    pub(super) size: Option<u64>,
    pub(super) source_zone: Option<String>,
    pub(super) plan_id: String,
    pub(super) retention: u64,
    pub(super) property: String,
    pub(super) incremental: bool,
    /// The base of the next update; empty without one.
    pub(super) snapshot_id: String,
    pub(super) copy_zone: String,
    pub(super) copy_project: String,
    pub(super) copy_id: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: Option<DateTime<Utc>>,
    pub(super) status: Status,
    pub(super) fail_reason: Option<String>,
    pub(super) owner: Option<String>,
    /// The instance backup that it is a member of.
    pub(super) instance_backup: Option<String>,
    /// The set in the repository.
    pub(super) set: SetName,
    /// The chain in the repository, the oldest first; each builds on the one before.
    pub(super) links: Vec<BackupId>,
    /// Links of chains before this one, still to be removed, the oldest first.
    #[serde(default)]
    pub(super) old_links: Vec<BackupId>,
    /// Bases before this one, still to be removed at Cinder.
    #[serde(default)]
    pub(super) old_bases: Vec<String>,
    /// The link that is being made.
    #[serde(default)]
    pub(super) pending: Option<Pending>,
    #[serde(default)]
    pub(super) snapshots: Vec<SnapshotRow>,
    /// It is being moved here from another project, and does not count before that has it no more.
    #[serde(default)]
    pub(super) moving: Option<Moving>,
}

impl VolumeBackup {
    /// Whether there is a point that can be brought back.
    pub(super) fn is_whole(&self) -> bool {
        !self.links.is_empty()
    }
}

/// A link that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// Its id in Cinder's records, and that of its job: a UUID.
    pub(super) link: String,
    /// GiB of the volume that is read.
    pub(super) size: Option<u64>,
    pub(super) bootable: bool,
}

impl Pending {
    pub(super) fn new(link: String) -> Self {
        Self { link, size: None, bootable: false }
    }
}

/// Where a backup comes from that is being moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moving {
    /// The project that has it.
    pub(super) from: String,
    /// What it is there, and will be here.
    pub(super) status: Status,
}

/// A snapshot in the list of a volume backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SnapshotRow {
    pub(super) id: String,
    pub(super) snapshot_id: String,
    pub(super) name: String,
    pub(super) timestamp: String,
}

/// A volume backup of an instance backup, or a snapshot of an instance snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) volume_id: String,
}

/// An instance backup: volume backups of all its volumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct InstanceBackup {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) project_id: String,
    pub(super) instance_id: String,
    pub(super) instance_name: String,
    pub(super) source_zone: Option<String>,
    pub(super) plan_id: String,
    pub(super) retention: u64,
    pub(super) incremental: bool,
    pub(super) copy_zone: String,
    pub(super) copy_project: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: Option<DateTime<Utc>>,
    pub(super) status: Status,
    pub(super) fail_reason: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) members: Vec<Member>,
    pub(super) span_ms: Option<u64>,
}

/// An instance snapshot: snapshots of all its volumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct InstanceSnapshot {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) project_id: String,
    pub(super) instance_id: String,
    pub(super) plan_id: String,
    pub(super) retention: u64,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: Option<DateTime<Utc>>,
    pub(super) status: Status,
    pub(super) fail_reason: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) members: Vec<Member>,
    pub(super) span_ms: Option<u64>,
}
