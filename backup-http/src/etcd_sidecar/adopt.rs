//! Files of the original are read once before they are served, so that every byte is checked from then on.

use backup_core::repository::{BackupInfo, State};
use backup_core::{BackupId, ErrorKind, Result};

use super::EtcdSidecar;
use crate::untended::{first_read, going_on};

impl EtcdSidecar {
    /// Reads a file that was never read before. A client that goes away (the operator waits for five seconds) stops the waiting, not the
    /// reading, so that it finds the file ready when it comes back.
    ///
    /// # Errors
    /// Those of the store, and of the service when it takes no job.
    pub(super) async fn take_over(&self, backup: &BackupInfo) -> Result<()> {
        if backup.state != State::Adopted {
            return Ok(());
        }
        let (sidecar, id) = (self.clone(), backup.id.clone());
        going_on(async move { sidecar.read_once(&id).await }).await
    }

    async fn read_once(&self, id: &BackupId) -> Result<()> {
        let _one = self.adopting.lock().await;
        let unread = |info: &BackupInfo| info.id == *id && info.state == State::Adopted;
        if self.service.list(&self.target).await?.iter().any(|info| unread(info)) {
            match first_read(&self.service, &self.target, id).await {
                Ok(report) => tracing::info!(backup = %id, good = report.is_good(), "a file of the original was taken over"),
                // It is served all the same: opening it reads it again.
                Err(error) if matches!(error.kind(), ErrorKind::NoSpace | ErrorKind::PermissionDenied) => {
                    tracing::warn!(backup = %id, %error, "a file of the original could not be given a manifest");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
