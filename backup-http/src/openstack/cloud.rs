//! What the dialect needs of the cloud. It knows no source and no client; whoever mounts it brings both.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use backup_core::{BackupReader, JobContext, RestoreTarget, Result, Secret, Source, async_trait};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Who asks, as Keystone says it of the token.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Caller {
    /// The token that was shown.
    pub token: Secret,
    /// The project that the token is for; letters, digits, `_`, `-` and `.`, at most 64.
    pub project_id: String,
    /// What that project is called.
    pub project_name: Option<String>,
    /// The user's id, for the log.
    pub user: String,
    /// The names of the roles.
    pub roles: Vec<String>,
    /// Whether one of the roles is the administrator's.
    pub is_admin: bool,
    /// Until when the token counts.
    pub expires: DateTime<Utc>,
    /// Where the caller's catalogue has the volume service: with a version, and the project where that belongs into it.
    pub volume_endpoint: Option<String>,
    /// Where the caller's catalogue has the compute service.
    pub compute_endpoint: Option<String>,
}

impl Caller {
    /// A caller without roles, names and endpoints.
    pub fn new(token: impl Into<Secret>, project_id: impl Into<String>, user: impl Into<String>, expires: DateTime<Utc>) -> Self {
        Self {
            token: token.into(),
            project_id: project_id.into(),
            project_name: None,
            user: user.into(),
            roles: Vec::new(),
            is_admin: false,
            expires,
            volume_endpoint: None,
            compute_endpoint: None,
        }
    }

    /// Sets [`Caller::project_name`].
    #[must_use]
    pub fn project_name(mut self, name: impl Into<String>) -> Self {
        self.project_name = Some(name.into());
        self
    }

    /// Sets [`Caller::roles`]; the role `admin` makes an administrator.
    #[must_use]
    pub fn roles(mut self, roles: impl IntoIterator<Item = String>) -> Self {
        self.roles = roles.into_iter().collect();
        self.is_admin = self.roles.iter().any(|role| role == "admin");
        self
    }

    /// Sets [`Caller::volume_endpoint`].
    #[must_use]
    pub fn volume_endpoint(mut self, url: impl Into<String>) -> Self {
        self.volume_endpoint = Some(url.into());
        self
    }

    /// Sets [`Caller::compute_endpoint`].
    #[must_use]
    pub fn compute_endpoint(mut self, url: impl Into<String>) -> Self {
        self.compute_endpoint = Some(url.into());
        self
    }
}

/// On whose behalf something is done.
#[derive(Debug, Clone)]
pub enum Principal {
    /// With the caller's token, while a request lasts and for the work that it began.
    Caller(Arc<Caller>),
    /// As ourselves, for the project of this id: what is left to do when nobody is there any more.
    Project(String),
}

impl Principal {
    /// The project.
    pub fn project(&self) -> &str {
        match self {
            Self::Caller(caller) => &caller.project_id,
            Self::Project(project) => project,
        }
    }
}

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

/// The cloud.
///
/// # Errors
/// Their kind decides the status of the answer: `NotFound` 404, `Conflict` and `AlreadyExists` 409, `NoSpace` (over a quota of the cloud)
/// 413, `InvalidInput` 400, `PermissionDenied` 403, `Timeout` 504, `Unavailable` 503, all else 500. Messages are shown to callers and
/// hold no secret.
///
/// # Cancel safety
/// What asks may be dropped. What changes something is dropped only with its process; each call ends soon after its context is cancelled
/// or out of time.
#[async_trait]
pub trait Cloud: Send + Sync + fmt::Debug + 'static {
    /// Whose token that is; `None` when it does not count, or is for no project.
    async fn validate(&self, cx: &JobContext, token: &Secret) -> Result<Option<Caller>>;

    /// A volume; `None` when the principal sees none of that id.
    async fn volume(&self, cx: &JobContext, by: &Principal, id: &str) -> Result<Option<Volume>>;

    /// Whether there is a volume type of that name or id.
    async fn has_volume_type(&self, cx: &JobContext, by: &Principal, volume_type: &str) -> Result<bool>;

    /// An instance; `None` when the principal sees none of that id.
    async fn server(&self, cx: &JobContext, by: &Principal, id: &str) -> Result<Option<Server>>;

    /// A snapshot; `None` when the principal sees none of that id, and when it is being deleted.
    async fn snapshot(&self, cx: &JobContext, by: &Principal, id: &str) -> Result<Option<Snapshot>>;

    /// Asks for a snapshot, and answers when Cinder has taken the request, not when it is made.
    async fn create_snapshot(&self, cx: &JobContext, by: &Principal, order: &SnapshotOrder) -> Result<Snapshot>;

    /// Waits until a snapshot is available.
    async fn await_snapshot(&self, cx: &JobContext, by: &Principal, id: &str) -> Result<()>;

    /// Deletes a snapshot, and returns when it is gone. One that is not there is gone.
    async fn delete_snapshot(&self, cx: &JobContext, by: &Principal, id: &str) -> Result<()>;

    /// How many of something a project may have; `None` for as many as it likes.
    async fn limit(&self, cx: &JobContext, by: &Principal, resource: Resource) -> Result<Option<u64>>;

    /// Whether the snapshot that an incremental backup was read from stays at the cloud, so that the next one reads only what changed since.
    fn keeps_bases(&self) -> bool;

    /// What captures a volume. Everything that it makes at the cloud carries the id of its job (`JobContext::job`) and its role.
    fn source(&self, by: &Principal, order: SourceOrder) -> Result<Arc<dyn Source>>;

    /// Asks for a volume to bring a backup back to, and answers with its id when Cinder has given it. The volume carries
    /// [`Role::Restoring`], and nobody else can use it until [`Cloud::settle_restored`].
    async fn create_volume(&self, cx: &JobContext, by: &Principal, order: &VolumeOrder) -> Result<String>;

    /// What brings a backup back to a volume of [`Cloud::create_volume`], and with which target.
    fn restorer(&self, by: &Principal, volume_id: &str, order: &VolumeOrder) -> Result<(Arc<dyn Source>, RestoreTarget)>;

    /// Whether all of the data of a backup is in a volume of [`Cloud::create_volume`] that was not settled yet.
    async fn is_restored(&self, cx: &JobContext, by: &Principal, volume_id: &str) -> Result<bool>;

    /// Ends a restore: with `failed` absent gives the volume its properties and frees it, else deletes it; one that cannot be deleted stays
    /// unusable and says why in its metadata. Calling it again does no harm, and a volume that is gone is settled.
    async fn settle_restored(
        &self,
        cx: &JobContext,
        by: &Principal,
        volume_id: &str,
        order: &VolumeOrder,
        failed: Option<&str>,
    ) -> Result<()>;

    /// Brings a volume back to one of its snapshots, and returns when all of it is done. While it runs and after it failed, the metadata of the
    /// volume says so; calling it again brings it to its end.
    async fn rollback(&self, cx: &JobContext, by: &Principal, volume: &Volume, snapshot: &Snapshot) -> Result<()>;

    /// Ends what a rollback that is over, or was interrupted, still holds of a volume: our attachment.
    ///
    /// # Behavior
    /// False when half of a rollback is in the volume, which stays marked then, to be rolled back again; with `failed` its metadata
    /// say that instead, it is given back, and the answer is true. A volume that was rolled back, or that no rollback has begun on, has
    /// nothing written about it. One that is gone is free. Calling it again does no harm.
    async fn end_rollback(&self, cx: &JobContext, by: &Principal, volume_id: &str, failed: Option<&str>) -> Result<bool>;

    /// Writes into the metadata of a volume why it cannot be trusted.
    async fn mark_volume(&self, cx: &JobContext, by: &Principal, volume_id: &str, why: &str) -> Result<()>;

    /// Everything of ours that is at the cloud, of all projects.
    async fn leftovers(&self, cx: &JobContext) -> Result<Vec<Leftover>>;

    /// Removes something of ours. What is not there is removed.
    async fn remove_leftover(&self, cx: &JobContext, leftover: &Leftover) -> Result<()>;
}

/// The service that a request is forwarded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Cinder.
    Volume,
    /// Nova.
    Compute,
}

/// Passes on what is not ours.
#[async_trait]
pub trait Forward: Send + Sync + fmt::Debug + 'static {
    /// Passes a request on to the service of the caller's catalogue, at `path` below its endpoint (it begins with a slash, and holds nothing
    /// that a client wrote but UUIDs), with its method, query, body, and those of its headers that concern the service; and answers what that answers.
    /// The body has not been read, or reads as if it had not been.
    async fn forward(&self, caller: &Caller, service: Service, path: &str, request: Request) -> Response;
}
