//! The dialect of OpenStack volume and instance backups: `/v1/volume…`, `/v1/instance…`.
//!
//! Backups are made in the background; a record of each is kept in the state and listed, by project. Volumes of a project have a backup set
//! each, in which every full backup, and every link of an incremental one, is a backup of its own. What is done at the cloud is behind
//! [`Cloud`]; what is not ours goes through [`Forward`]. `docs/volume-backup.md` says what differs from the original and why.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use backup_core::{BackupService, Repository, Result, state::State};
//! use backup_http::openstack::{self, Cloud, OpenStack};
//!
//! # async fn mount(repository: Repository, state: Arc<dyn State>, cloud: Arc<dyn Cloud>) -> Result<axum::Router> {
//! let service = BackupService::builder(Arc::clone(&state)).start().await?;
//! let dialect = OpenStack::builder(service, repository, state, cloud).start().await?;
//! let app = axum::Router::new().merge(openstack::router(dialect)).fallback(openstack::not_found);
//! # Ok(openstack::dress(app)) }
//! ```

mod auth;
mod body;
mod cloud;
mod convert;
mod dress;
mod dto;
mod errors;
mod forward;
mod gateway;
mod id;
mod instances;
mod list;
mod locks;
mod openapi;
mod owner;
mod record;
mod records;
mod recover;
mod retention;
mod routes;
mod start;
#[cfg(test)]
mod tests;
mod volume_backups;
mod volumes;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backup_core::state::State;
use backup_core::{BackupService, Environment, Error, JobContext, Repository, Result};
use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use cloud::{
    Attachment, Caller, Cloud, Forward, Leftover, LeftoverKind, Parent, Principal, Resource, Role, Server, Service, Snapshot,
    SnapshotOrder, SourceOrder, Volume, VolumeOrder,
};
pub use dress::dress;
pub use forward::{ForwardOptions, Forwarder};
pub use gateway::gateway;
pub use openapi::openapi;
pub use routes::{not_found, router};
pub use start::{OpenStackBuilder, SuccessCodes};

use locks::Locks;
use owner::Owner;

/// How long one look at the cloud or the store may take that a request waits for.
const LOOK: Duration = Duration::from_secs(30);

/// How long the cloud may take to make or remove one thing that only we wait for.
const CHANGE: Duration = Duration::from_secs(600);

/// How long work waits for its volume while other work goes on there.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// What the router of this dialect works on. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct OpenStack {
    inner: Arc<Inner>,
}

struct Inner {
    service: BackupService,
    repository: Repository,
    state: Arc<dyn State>,
    environment: Environment,
    cloud: Arc<dyn Cloud>,
    forward: Option<Arc<dyn Forward>>,
    success_codes: SuccessCodes,
    chain_limit: usize,
    rollback_timeout: Duration,
    locks: Locks,
    owner: Owner,
    /// What this process works on, by the ids of records. The same one may be claimed more than once: by a request that is refused then, and
    /// by work whose end is in the record already.
    live: Mutex<HashMap<String, Vec<Claim>>>,
    claims: AtomicU64,
    running: TaskTracker,
    stopping: CancellationToken,
    /// Something was left to be put in order.
    disorder: Notify,
}

impl OpenStack {
    /// Backups of the volumes of `cloud` in `repository`, made by jobs of `service`, with records in `state`.
    pub fn builder(
        service: BackupService,
        repository: Repository,
        state: Arc<dyn State>,
        cloud: Arc<dyn Cloud>,
    ) -> OpenStackBuilder {
        OpenStackBuilder::new(service, repository, state, cloud)
    }

    /// Begins nothing by itself any more, and returns when all that runs has ended and is recorded. To be called together with
    /// [`BackupService::stop`], which ends the jobs.
    pub async fn stop(&self) {
        let inner = &self.inner;
        inner.stopping.cancel();
        inner.running.close();
        inner.running.wait().await;
    }

    /// Who asks, for requests that go elsewhere: the gateway's.
    ///
    /// # Errors
    /// The answer to give instead: 401, or 503 while Keystone cannot be asked.
    pub async fn caller(&self, headers: &axum::http::HeaderMap) -> Result<Caller, Box<axum::response::Response>> {
        let caller = self.inner.caller(headers).await;
        caller.map_err(|failure| Box::new(axum::response::IntoResponse::into_response(failure)))
    }
}

struct Claim {
    number: u64,
    cancel: CancellationToken,
}

/// The end of what runs, however it comes: it is not taken for alive any more, unless somebody else claimed the same.
struct Leave {
    inner: Arc<Inner>,
    id: String,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut live = self.inner.live();
        if let Entry::Occupied(mut claims) = live.entry(std::mem::take(&mut self.id)) {
            claims.get_mut().retain(|claim| claim.number != self.number);
            if claims.get().is_empty() {
                claims.remove();
            }
        }
    }
}

impl Inner {
    fn live(&self) -> MutexGuard<'_, HashMap<String, Vec<Claim>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_live(&self, id: &str) -> bool {
        self.live().contains_key(id)
    }

    /// Asks what works on a record here to end.
    fn cancel(&self, id: &str) {
        if let Some(claims) = self.live().get(id) {
            claims.iter().for_each(|claim| claim.cancel.cancel());
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.environment.clock.now()
    }

    fn new_id(&self) -> String {
        id::new_uuid(&*self.environment.random)
    }

    /// For a call of the cloud or the store that a request waits for.
    fn looking(&self) -> JobContext {
        self.repository.context().with_limit(LOOK)
    }

    /// For a call that changes something at the cloud.
    fn changing(&self) -> JobContext {
        self.repository.context().with_limit(CHANGE)
    }

    /// Claims a record for this process, before anybody can see it. Dropped, it is no longer claimed.
    fn claim(self: &Arc<Self>, id: &str) -> (Leave, CancellationToken) {
        let (cancel, number) = (CancellationToken::new(), self.claims.fetch_add(1, Ordering::Relaxed));
        self.live().entry(id.to_owned()).or_default().push(Claim { number, cancel: cancel.clone() });
        (Leave { inner: Arc::clone(self), id: id.to_owned(), number }, cancel)
    }

    /// Runs the work on a claimed record to its end.
    fn spawn(self: &Arc<Self>, leave: Leave, work: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(async move {
            let _leave = leave;
            work.await;
        });
    }

    /// A pause, shorter when this process stops.
    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.environment.clock.sleep(time) => {}
            () = self.stopping.cancelled() => {}
        }
    }
}

/// Why something failed, for a record.
fn why(error: &Error) -> String {
    match error.kind() {
        backup_core::ErrorKind::Cancelled => "cancelled: the server was stopped, or the object deleted".to_owned(),
        _ => error.to_string(),
    }
}

impl fmt::Debug for OpenStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStack").field("cloud", &self.inner.cloud).finish_non_exhaustive()
    }
}
