//! What is at the cloud.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Role;

/// A volume of Cinder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// Its id.
    pub id: String,
    /// Its name; empty when it has none.
    pub name: String,
    /// Its state as Cinder says it: `available`, `in-use`.
    pub status: String,
    /// GiB.
    pub size: u64,
    /// The name of its type; empty when it has none.
    pub volume_type: String,
    /// Whether an instance can start from it.
    pub bootable: bool,
    /// What it is attached to.
    pub attachments: Vec<Attachment>,
    /// Its metadata.
    pub metadata: BTreeMap<String, String>,
}

impl Volume {
    /// A volume without anything but an id, a state, and a size in GiB.
    pub fn new(id: impl Into<String>, status: impl Into<String>, size: u64) -> Self {
        Self { id: id.into(), status: status.into(), size, ..Self::default() }
    }
}

/// That a volume is attached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attachment {
    /// The instance; `None` for an attachment without one.
    pub server_id: Option<String>,
}

impl Attachment {
    /// An attachment to an instance.
    pub fn to_server(id: impl Into<String>) -> Self {
        Self { server_id: Some(id.into()) }
    }
}

/// A snapshot of Cinder.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// The volume that it is of.
    pub volume_id: String,
    /// Its name; empty when it has none.
    pub name: String,
    /// Its state as Cinder says it: `creating`, `available`, `error`.
    pub status: String,
    /// When it was made, if Cinder says so.
    pub created_at: Option<DateTime<Utc>>,
}

impl Snapshot {
    /// A snapshot without a name.
    pub fn new(id: impl Into<String>, volume_id: impl Into<String>, status: impl Into<String>) -> Self {
        Self { id: id.into(), volume_id: volume_id.into(), name: String::new(), status: status.into(), created_at: None }
    }

    /// Sets [`Snapshot::name`].
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets [`Snapshot::created_at`].
    #[must_use]
    pub fn created_at(mut self, time: DateTime<Utc>) -> Self {
        self.created_at = Some(time);
        self
    }
}

/// An instance of Nova.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state as Nova says it: `ACTIVE`, `SHUTOFF`.
    pub status: String,
    /// The ids of the volumes that are attached to it.
    pub volumes: Vec<String>,
}

impl Server {
    /// An instance without volumes.
    pub fn new(id: impl Into<String>, name: impl Into<String>, status: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), status: status.into(), volumes: Vec::new() }
    }

    /// Sets [`Server::volumes`].
    #[must_use]
    pub fn volumes(mut self, volumes: impl IntoIterator<Item = String>) -> Self {
        self.volumes = volumes.into_iter().collect();
        self
    }
}

/// Something of ours that is at the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// What it is.
    pub kind: LeftoverKind,
    /// Its id.
    pub id: String,
    /// What it is for.
    pub role: Role,
    /// For which work it was made (`backup:job`).
    pub job: String,
}

impl Leftover {
    /// A thing at the cloud.
    pub fn new(kind: LeftoverKind, id: impl Into<String>, role: Role, job: impl Into<String>) -> Self {
        Self { kind, id: id.into(), role, job: job.into() }
    }
}

/// What a [`Leftover`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftoverKind {
    /// A volume.
    Volume,
    /// A snapshot.
    Snapshot,
    /// An attachment.
    Attachment,
}

/// What is limited by Keystone's unified limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Volume backups.
    VolumeBackups,
    /// Instance backups.
    InstanceBackups,
    /// Instance snapshots.
    InstanceSnapshots,
}

impl Resource {
    /// Its name in Keystone.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VolumeBackups => "volume_backup_total",
            Self::InstanceBackups => "instance_backup_total",
            Self::InstanceSnapshots => "instance_snapshot_total",
        }
    }
}
