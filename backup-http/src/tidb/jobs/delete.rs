//! Removing a backup: its files first, then its record.

use std::sync::Arc;

use axum::http::StatusCode;
use backup_core::error::codes;
use backup_core::repository::DeleteOptions;
use backup_core::service::{SubmitOptions, Target};
use backup_core::{BackupId, Result, SetName};

use crate::tidb::Inner;
use crate::tidb::errors::{DELETE_FAILED, Failure, MAINTENANCE, REMOVE_FAILED};
use crate::tidb::id::RecordId;

impl Inner {
    /// Removes a backup. One that is not known counts as removed.
    ///
    /// # Errors
    /// 20603 while it runs, 20114 while its cluster is worked on or a restore reads it, 20608 when its files stay, and then the record too.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::tidb) async fn delete(self: &Arc<Self>, backup: &str) -> Result<(), Failure> {
        let failed = |error| DELETE_FAILED.caused(&error);
        let Some(id) = RecordId::parse(backup) else { return Ok(()) };
        let Some(record) = self.records.get(id).await.map_err(failed)? else { return Ok(()) };
        if !record.status.is_over() {
            let why = format!("the backup is {}; cancel it first", record.status.as_str());
            return Err(DELETE_FAILED.because(why).status(StatusCode::CONFLICT));
        }
        // One that failed has no files of its own: what it may have left is the janitor's.
        if let Some(files) = &record.backup {
            let _lock = self.lock(&record.cluster).await?;
            if self.is_being_restored(id).await.map_err(failed)? {
                return Err(MAINTENANCE.because("a restore reads this backup"));
            }
            self.remove_files(&record.cluster, files).await.map_err(|error| REMOVE_FAILED.caused(&error))?;
        }
        self.records.remove(&record).await.map_err(failed)?;
        tracing::info!(cluster = record.cluster, backup = %id, "removed");
        Ok(())
    }

    async fn remove_files(&self, cluster: &str, backup: &BackupId) -> Result<()> {
        let target = Target::without_source(self.repository.clone(), SetName::new(cluster)?);
        let how = DeleteOptions::default().even_newest();
        match self.service.delete_with(&target, backup, how, SubmitOptions::default()).await?.wait().await {
            // Somebody else removed it, or an earlier try did.
            Err(error) if *error.code() == codes::BACKUP_NOT_FOUND => Ok(()),
            ended => ended,
        }
    }
}
