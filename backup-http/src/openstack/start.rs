//! From its parts to a dialect that takes requests.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use backup_core::state::State;
use backup_core::{BackupService, Environment, Repository, Result};
use serde::Deserialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::locks::Locks;
use super::owner::Owner;
use super::{Cloud, Forward, Inner, OpenStack};

/// Which status a success has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuccessCodes {
    /// As documented: 201 for what is created, acted upon and deleted; a quota that is reached is 403.
    #[default]
    Documented,
    /// As the original answers: 202 and 200; a quota that is reached is 400.
    Original,
}

impl SuccessCodes {
    /// For what the original answers with 202.
    pub(super) fn accepted(self) -> StatusCode {
        match self {
            Self::Documented => StatusCode::CREATED,
            Self::Original => StatusCode::ACCEPTED,
        }
    }

    /// For what the original answers with 200.
    pub(super) fn done(self) -> StatusCode {
        match self {
            Self::Documented => StatusCode::CREATED,
            Self::Original => StatusCode::OK,
        }
    }

    /// For a quota that is reached.
    pub(super) fn over_quota(self) -> StatusCode {
        match self {
            Self::Documented => StatusCode::FORBIDDEN,
            Self::Original => StatusCode::BAD_REQUEST,
        }
    }
}

/// A dialect before it has started; see [`OpenStack::builder`].
#[must_use]
pub struct OpenStackBuilder {
    service: BackupService,
    repository: Repository,
    state: Arc<dyn State>,
    cloud: Arc<dyn Cloud>,
    forward: Option<Arc<dyn Forward>>,
    environment: Environment,
    success_codes: SuccessCodes,
    chain_limit: usize,
    rollback_timeout: Duration,
}

impl OpenStackBuilder {
    pub(super) fn new(service: BackupService, repository: Repository, state: Arc<dyn State>, cloud: Arc<dyn Cloud>) -> Self {
        Self {
            service,
            repository,
            state,
            cloud,
            forward: None,
            environment: Environment::default(),
            success_codes: SuccessCodes::default(),
            chain_limit: 30,
            rollback_timeout: Duration::from_secs(600),
        }
    }

    /// Sets time and chance.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets who passes on what is not ours. Without one that is refused with 400, as the original does behind its gateway.
    pub fn forward(mut self, forward: Arc<dyn Forward>) -> Self {
        self.forward = Some(forward);
        self
    }

    /// Sets which status a success has; the documented one unless set.
    pub fn success_codes(mut self, codes: SuccessCodes) -> Self {
        self.success_codes = codes;
        self
    }

    /// Sets after how many links of an incremental backup its next update begins anew with a full one; 30 unless set, at least 1.
    pub fn chain_limit(mut self, links: usize) -> Self {
        self.chain_limit = links.max(1);
        self
    }

    /// Sets how long a request waits for a rollback; ten minutes unless set.
    pub fn rollback_timeout(mut self, time: Duration) -> Self {
        self.rollback_timeout = time;
        self
    }

    /// Starts.
    ///
    /// # Behavior
    /// What an earlier process left in the middle is put in order in the background, and tried again until cloud and store answer; requests
    /// are taken at once, and a volume that something was left of takes work when that is in order.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn start(self) -> Result<OpenStack> {
        let owner = Owner::take(Arc::clone(&self.state)).await?;
        let inner = Arc::new(Inner {
            locks: Locks::new(Arc::clone(&self.state), Arc::clone(&self.environment.clock)),
            service: self.service,
            repository: self.repository,
            state: self.state,
            environment: self.environment,
            cloud: self.cloud,
            forward: self.forward,
            success_codes: self.success_codes,
            chain_limit: self.chain_limit,
            rollback_timeout: self.rollback_timeout,
            owner,
            live: Mutex::new(HashMap::new()),
            claims: AtomicU64::new(0),
            running: TaskTracker::new(),
            stopping: CancellationToken::new(),
            disorder: Notify::new(),
        });
        inner.keep_order();
        Ok(OpenStack { inner })
    }
}

impl fmt::Debug for OpenStackBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStackBuilder").field("cloud", &self.cloud).finish_non_exhaustive()
    }
}
