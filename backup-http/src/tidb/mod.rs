//! The dialect of TiDB cluster backups: `/api/v1/clusters/…/strategy`, `/api/v1/backups`.
//!
//! Backups run in the background; a record of each is kept in the state and listed. A cluster has one backup set, called as its id, and
//! each backup lies in the directory that the documents name, `<cluster>/<YYYY-MM-DD-HH-mm-ss>-<type>`, written by the program behind the
//! [`Cluster`]'s sources. `docs/tidb.md` says what differs from the original and why.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use backup_core::{BackupService, Repository, Result, state::State};
//! use backup_http::tidb::{self, Cluster, Role, TidbBackup, Token};
//!
//! # async fn mount(repository: Repository, state: Arc<dyn State>, clusters: Vec<Arc<dyn Cluster>>) -> Result<axum::Router> {
//! let service = BackupService::builder(Arc::clone(&state)).start().await?;
//! let tokens = [Token::new("6b43c6e2-8e96-48f8-acbc-eddfff41d40a", "ops", Role::Admin)];
//! let dialect = TidbBackup::builder(service, repository, state).clusters(clusters).tokens(tokens).path("nfs/em/backup").start().await?;
//! let app = axum::Router::new().merge(tidb::router(dialect)).fallback(tidb::not_found);
//! # Ok(tidb::dress(app)) }
//! ```

mod auth;
mod cluster;
mod convert;
mod dress;
mod dto;
mod errors;
mod id;
mod jobs;
mod openapi;
mod query;
mod record;
mod records;
mod routes;
mod start;
mod strategies;
mod strategy;
#[cfg(test)]
mod tests;
mod time;
mod workflow;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_core::schedule::Scheduler;
use backup_core::state::State;
use backup_core::zone::Zone;
use backup_core::{BackupService, Environment, JobId, Repository};
use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use auth::{Role, Token};
pub use cluster::Cluster;
pub use dress::{TRACE_ID, dress};
pub use openapi::openapi;
pub use routes::{not_found, router};
pub use start::TidbBuilder;

use auth::Tokens;
use id::RecordId;
use records::Records;

/// What the router of this dialect works on. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct TidbBackup {
    inner: Arc<Inner>,
}

struct Inner {
    service: BackupService,
    repository: Repository,
    state: Arc<dyn State>,
    environment: Environment,
    clusters: BTreeMap<String, Arc<dyn Cluster>>,
    tokens: Tokens,
    zone: Zone,
    /// What paths begin with.
    path: String,
    records: Records,
    live: Mutex<Live>,
    scheduler: Scheduler,
    /// Jobs that are looked after.
    running: TaskTracker,
    stopping: CancellationToken,
    /// Clusters in which leftovers are ended at the same time.
    slots: Semaphore,
}

/// What runs in this process.
#[derive(Default)]
struct Live {
    jobs: HashMap<RecordId, LiveJob>,
    /// The second of the last directory of each cluster.
    directories: HashMap<String, DateTime<Utc>>,
    /// Clusters whose work has ended and that are free in a moment; cancelled then.
    ending: HashMap<String, CancellationToken>,
    /// Clusters whose leftovers could not be ended, with the code of the last failure.
    not_ended: HashMap<String, &'static str>,
}

/// A backup or a restore of this process.
#[derive(Clone)]
struct LiveJob {
    cancel: CancellationToken,
    /// The job of the service, once it is there.
    job: Option<JobId>,
}

impl TidbBackup {
    /// The clusters' backups in `repository`, made by jobs of `service`, with records in `state`.
    pub fn builder(service: BackupService, repository: Repository, state: Arc<dyn State>) -> TidbBuilder {
        TidbBuilder::new(service, repository, state)
    }

    /// Starts nothing by itself any more, and returns when all that runs has ended and is recorded. To be called together with
    /// [`BackupService::stop`], which ends the jobs.
    pub async fn stop(&self) {
        let inner = &self.inner;
        inner.stopping.cancel();
        inner.scheduler.stop().await;
        inner.running.close();
        inner.running.wait().await;
    }
}

impl Inner {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> DateTime<Utc> {
        self.environment.clock.now()
    }

    /// What the job of a record is doing just now.
    fn step(&self, id: RecordId) -> Option<String> {
        let job = self.live().jobs.get(&id)?.job.clone()?;
        let record = self.service.job(&job).ok()?;
        record.step.or(record.phase)
    }
}

impl fmt::Debug for TidbBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TidbBackup").field("clusters", &self.inner.clusters.len()).finish_non_exhaustive()
    }
}
