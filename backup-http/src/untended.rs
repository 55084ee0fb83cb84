//! Work that a request begins and that goes on when its client is gone.

use std::future::Future;

use backup_core::error::codes;
#[cfg(any(feature = "etcd-backup", feature = "etcd-sidecar"))]
use backup_core::{
    BackupId, BackupService,
    repository::{VerifyLevel, VerifyReport},
    service::{SubmitOptions, Target},
};
use backup_core::{Error, Result};
use tracing::Instrument;

/// Waits for work in a task of its own. Dropped, it stops the waiting, not the work.
pub(crate) async fn going_on<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let ended_early = |error| Error::new(&codes::INTERNAL, "a request's task ended early").with_source(error);
    tokio::spawn(work.in_current_span()).await.map_err(ended_early)?
}

/// Reads a file that another program left to its end, by a job, so that every byte of it is checked from then on.
#[cfg(any(feature = "etcd-backup", feature = "etcd-sidecar"))]
pub(crate) async fn first_read(service: &BackupService, target: &Target, id: &BackupId) -> Result<VerifyReport> {
    // Any level reads a file without a manifest to its end; the lowest does not read it twice.
    service.verify(target, id, VerifyLevel::Size, SubmitOptions::default()).await?.wait().await
}
