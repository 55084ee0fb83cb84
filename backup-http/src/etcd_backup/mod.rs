//! The dialect of etcd-backup: `/api/v1/backup`.
//!
//! A list of file names, a download, and `POST` for a new backup. The files are `snapshot-YYYYMMDD_HHMMSS.tar.gz` (UTC), each with the
//! one member `snapshot-YYYYMMDD_HHMMSS.db`, an etcd snapshot with its trailer; `.db.gz` files that the original program left in the
//! directory are listed, served and rotated beside them.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use backup_core::service::Target;
//! # use backup_core::{BackupRequest, BackupService, Compression, Environment, Repository, Result, SetName, Source, Store};
//! use backup_http::etcd_backup::{self, EtcdBackup, SnapshotNaming, TimestampedSource};
//!
//! # fn etcd(name: &str) -> Result<Arc<dyn Source>> { unimplemented!() }
//! # fn mount(store: Arc<dyn Store>, service: BackupService) -> Result<axum::Router> {
//! let clock = Environment::default().clock;
//! let repository = Repository::builder(store).naming(Arc::new(SnapshotNaming::new(clock))).build();
//! let source = TimestampedSource::new(|name| etcd(name))?;
//! let request = BackupRequest::new(SetName::new("etcd")?).compression(Compression::Gzip, None);
//! let target = Target::new(repository, Arc::new(source), request);
//! # Ok(
//! etcd_backup::router(EtcdBackup::new(service, target))
//! # )
//! # }
//! ```

pub mod codes;
mod convert;
mod dto;
mod errors;
mod naming;
mod openapi;
mod routes;
mod source;
mod takeover;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderName;
use backup_core::BackupService;
use backup_core::service::Target;

pub use naming::SnapshotNaming;
pub use openapi::openapi;
pub use routes::{not_found, router};
pub use source::TimestampedSource;

use crate::access::AccessLog;
use crate::download::DEFAULT_STALL;
use takeover::TakeOver;

/// The header whose value a client wants to find as `request_id` in errors and in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-cybozu-request-id");

/// What the router of this dialect works on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EtcdBackup {
    service: BackupService,
    target: Target,
    stall: Duration,
    takeover: Arc<TakeOver>,
}

impl EtcdBackup {
    /// The backups of `target`, whose repository names them by [`SnapshotNaming`] and whose source is a [`TimestampedSource`].
    pub fn new(service: BackupService, target: Target) -> Self {
        Self { service, target, stall: DEFAULT_STALL, takeover: Arc::default() }
    }

    /// Sets how long a client may take nothing of a download before it is dropped.
    #[must_use]
    pub fn stall_limit(mut self, limit: Duration) -> Self {
        self.stall = limit;
        self
    }

    /// Reads the files of the original program that nobody has read yet, and remembers which are whole. Lists and downloads do that,
    /// too, where it is still to be done; a server does it when it starts, so that no client waits for it.
    ///
    /// # Cancel safety
    /// May be dropped: what was read stays known.
    pub async fn take_over(&self) {
        self.takeover.all(&self.service, &self.target, None).await;
    }
}

/// The layer for request ids and the access log, with the header of this dialect. Put around the router by whoever serves it.
pub fn access_log() -> AccessLog {
    AccessLog::new().id_header(REQUEST_ID)
}
