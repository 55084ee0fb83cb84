//! The dialect of etcd-backup: `/api/v1/backup`.
//!
//! A list of file names, a download, and `POST` for a new backup. The files are `snapshot-YYYYMMDD_HHMMSS.tar.gz` (UTC), each with the
//! one member `snapshot-YYYYMMDD_HHMMSS.db`, an etcd snapshot with its trailer; `.db.gz` files that the original program left in the
//! directory are listed, served and rotated beside them.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use backup_core::{BackupService, Environment, Repository, Result, SetName, Source, Store, state::State};
//! use backup_http::etcd_backup::{self, EtcdBackup, SnapshotNaming, TimestampedSource};
//!
//! # fn etcd(name: &str) -> Result<Arc<dyn Source>> { unimplemented!() }
//! # async fn mount(store: Arc<dyn Store>, state: Arc<dyn State>) -> Result<axum::Router> {
//! let clock = Environment::default().clock;
//! let repository = Repository::builder(store).naming(Arc::new(SnapshotNaming::new(clock))).build();
//! let source = TimestampedSource::new(|name| etcd(name))?;
//! let target = etcd_backup::target(repository, source, SetName::new("etcd")?, 14);
//! let service = BackupService::builder(state).target(target.clone()).start().await?;
//! let app = axum::Router::new().merge(etcd_backup::router(EtcdBackup::new(service, target)));
//! # Ok(app) }
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
use backup_core::retention::RetentionPolicy;
use backup_core::service::Target;
use backup_core::{BackupRequest, BackupService, Compression, Repository, SetName};

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

/// A target as the dialect needs it: one gzipped file a backup, made at every request, and the newest `rotate` stay, one at least.
pub fn target(repository: Repository, source: TimestampedSource, set: SetName, rotate: u32) -> Target {
    let request = BackupRequest::new(set).compression(Compression::Gzip, None);
    Target::new(repository, Arc::new(source), request).retention(RetentionPolicy::default().keep_last(rotate.max(1)))
}

/// The layer for request ids and the access log, with the header of this dialect. Put around the router by whoever serves it.
pub fn access_log() -> AccessLog {
    AccessLog::new().id_header(REQUEST_ID)
}
