//! What is looked at without a job.

use std::sync::Arc;
use std::time::Duration;

use super::{BackupService, Target};
use crate::context::JobContext;
use crate::error::Result;
use crate::name::BackupId;
use crate::repository::{BackupInfo, StoredBackup};

/// How long a look at a store may take that no job makes.
const READ_LIMIT: Duration = Duration::from_secs(60);

impl BackupService {
    /// The backups of a target, oldest first, as the store has them after this call. Many calls at the same time share one look.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(&self, target: &Target) -> Result<Vec<Arc<BackupInfo>>> {
        let infos = self.inner.listings.list(&self.reading(target), target).await?;
        Ok(Arc::unwrap_or_clone(infos))
    }

    /// Opens a backup for reading, see [`Repository::open`](crate::Repository::open). The context is for the streams opened of it:
    /// it has no time limit, since nobody knows how fast they are read.
    ///
    /// # Errors
    /// `backup.not_found` and the like; those of the store. Opening a stream is `store.busy` when the memory of readers stays taken.
    pub async fn open(&self, target: &Target, id: &BackupId) -> Result<(JobContext, StoredBackup)> {
        let cx = self.reading(target);
        let repository = target.repository.with_budget(self.inner.reading.clone());
        let unlimited = target.repository.context();
        let backup = match cx.run(repository.open_published(&cx, target.set(), id)).await? {
            Some(backup) => backup,
            // A file of another program is read to its end first, and nobody knows how long that takes.
            None => repository.open(&unlimited, target.set(), id).await?,
        };
        Ok((unlimited, backup))
    }

    /// Exempts a backup from retention.
    ///
    /// # Errors
    /// As [`Repository::pin`](crate::Repository::pin).
    pub async fn pin(&self, target: &Target, id: &BackupId, why: &str) -> Result<()> {
        let cx = self.reading(target);
        target.repository.pin(&cx, target.set(), id, why).await
    }

    /// Takes the exemption back.
    ///
    /// # Errors
    /// As [`Repository::unpin`](crate::Repository::unpin).
    pub async fn unpin(&self, target: &Target, id: &BackupId) -> Result<()> {
        let cx = self.reading(target);
        target.repository.unpin(&cx, target.set(), id).await
    }

    /// A context for a short look at a store.
    fn reading(&self, target: &Target) -> JobContext {
        target.repository.context().with_limit(READ_LIMIT)
    }
}
