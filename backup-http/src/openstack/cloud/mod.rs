//! What the dialect needs of the cloud. It knows no source and no client; whoever mounts it brings both.

mod orders;
mod things;
mod who;

use std::fmt;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use backup_core::{JobContext, RestoreTarget, Result, Secret, Source, async_trait};

pub use orders::{Parent, Role, SnapshotOrder, SourceOrder, VolumeOrder};
pub use things::{Attachment, Leftover, LeftoverKind, Resource, Server, Snapshot, Volume};
pub use who::{Caller, Principal};

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
