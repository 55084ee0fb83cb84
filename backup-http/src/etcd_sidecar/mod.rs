//! The HTTP API of the etcd-operator backup sidecar: `/v1/backupnow`, `/v1/backup`, `/v1/status`.
//!
//! `docs/etcd-sidecar.md` says what differs from the original and why.
//!
//! ```
//! # use std::sync::Arc;
//! # use backup_core::{Repository, Result, Source, Store, service::BackupService, state::State};
//! # use backup_http::etcd_sidecar::{self, EtcdSidecar, SidecarNaming};
//! # async fn mount(store: Arc<dyn Store>, state: Arc<dyn State>, etcd: Arc<dyn Source>) -> Result<axum::Router> {
//! let naming = SidecarNaming::in_directory("prod")?;
//! let repository = Repository::builder(store).naming(Arc::new(naming.clone())).build();
//! let target = etcd_sidecar::target(repository, etcd, &naming, 7);
//! let service = BackupService::builder(state).target(target.clone()).start().await?;
//! let app = axum::Router::new().merge(etcd_sidecar::router(EtcdSidecar::new(service, target)));
//! # Ok(app) }
//! ```

mod adopt;
mod convert;
mod dto;
mod errors;
mod naming;
mod params;
mod pick;
mod routes;
mod serve;
#[cfg(test)]
mod tests;
mod version;

use std::sync::Arc;
use std::time::Duration;

use backup_core::retention::RetentionPolicy;
use backup_core::service::{BackupService, Target};
use backup_core::{BackupRequest, Repository, Source};
use tokio::sync::Mutex;

pub use dto::{BackupStatus, ServiceStatus};
pub use naming::SidecarNaming;
pub use routes::{not_found, openapi, router};

/// How long a `backupnow` waits until its job begins.
const ACCEPT_LIMIT: Duration = Duration::from_secs(60);

/// How long it waits then for the result.
const RESULT_LIMIT: Duration = Duration::from_secs(600);

/// What the dialect serves: one cluster's backups.
#[derive(Debug, Clone)]
pub struct EtcdSidecar {
    service: BackupService,
    target: Target,
    accept_limit: Duration,
    result_limit: Duration,
    /// One file of the original is read at a time.
    adopting: Arc<Mutex<()>>,
}

impl EtcdSidecar {
    /// The backups of `target`, which has a [`SidecarNaming`], as [`target`] makes it.
    pub fn new(service: BackupService, target: Target) -> Self {
        Self { service, target, accept_limit: ACCEPT_LIMIT, result_limit: RESULT_LIMIT, adopting: Arc::default() }
    }

    /// Sets how long a `backupnow` waits for its job to begin (1 minute), and then for its result (10 minutes). By the clock of
    /// the target's repository.
    #[must_use]
    pub fn wait_limits(mut self, accept: Duration, result: Duration) -> Self {
        (self.accept_limit, self.result_limit) = (accept, result);
        self
    }
}

/// A target as the dialect needs it: an unchanged revision makes no new backup, however old the last one is, and the newest
/// `max_backups` stay; 0 keeps all.
pub fn target(repository: Repository, source: Arc<dyn Source>, naming: &SidecarNaming, max_backups: u32) -> Target {
    let request = BackupRequest::new(naming.set().clone()).skip_unchanged(None);
    let target = Target::new(repository, source, request);
    match max_backups {
        0 => target,
        count => target.retention(RetentionPolicy::default().keep_last(count)),
    }
}
