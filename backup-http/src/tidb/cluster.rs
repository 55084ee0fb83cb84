//! What the dialect needs to know of a cluster.

use std::fmt;
use std::sync::Arc;

use backup_core::store::ExternalLocation;
use backup_core::{Error, JobContext, Result, Source, async_trait};

/// A cluster that is backed up. The dialect knows no source; whoever mounts it brings the one that drives BR.
#[async_trait]
pub trait Cluster: Send + Sync + fmt::Debug + 'static {
    /// Its id, by which requests name it: one segment of a [`SetName`](backup_core::SetName), at most 100 bytes. Its backups are the set
    /// of that name.
    fn id(&self) -> &str;

    /// What people call it.
    fn name(&self) -> &str;

    /// The source of full backups. It restores, too, and refuses in a dry run what does not suit the cluster.
    fn full(&self) -> Arc<dyn Source>;

    /// The source of an incremental backup from the position `since` on.
    fn incremental(&self, since: u64) -> Arc<dyn Source>;

    /// Up to where old versions were removed: an incremental backup can only start after it. `None` when it cannot be known.
    ///
    /// # Errors
    /// Those of the cluster. The backup is tried all the same.
    async fn gc_safe_point(&self, cx: &JobContext) -> Result<Option<u64>>;

    /// Whether `error`, with which an incremental backup failed, says that the versions it needs are gone. It is a full one then.
    fn gc_passed(&self, error: &Error) -> bool;

    /// Ends whatever a process that is gone left working on `location`, and returns when it has ended.
    ///
    /// # Errors
    /// Those of the cluster: then it may still work. It is called again.
    async fn end_leftovers(&self, cx: &JobContext, location: &ExternalLocation) -> Result<()>;
}
