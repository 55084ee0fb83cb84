//! What a server is made of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderName;
use axum::response::Response;
use backup_core::budget::MemoryBudget;
use backup_core::naming::Naming;
use backup_core::schedule::Schedule;
use backup_core::service::{BackupService, Limits, Target};
use backup_core::state::State;
use backup_core::{Error, Repository, Result};
use backup_http::access::RequestId;
use backup_http::observe::Metrics;
use backup_stores::StoreConfig;
use futures::future::BoxFuture;

use super::HttpConfig;
use crate::config::{ObjectiveConfig, StateConfig};

/// What a server is made of, as its configuration says. Nothing is opened yet.
#[must_use]
pub struct Plan {
    /// The name of the program.
    pub program: &'static str,
    /// What is counted of it.
    pub metrics: Metrics,
    /// Where it listens, and for whom.
    pub http: HttpConfig,
    /// Where it keeps its state.
    pub state: StateConfig,
    /// Where the backups go.
    pub store: StoreConfig,
    /// How old the last good backup may be.
    pub objective: ObjectiveConfig,
    /// How they are named.
    pub naming: Arc<dyn Naming>,
    /// How many jobs there may be.
    pub limits: Limits,
    /// What all jobs together may hold.
    pub memory: MemoryBudget,
    /// How long running jobs and open requests may go on after the first signal.
    pub grace: Duration,
    /// What is protected, once the repository is there; none where requests say what is.
    pub targets: Box<dyn FnOnce(Repository) -> Result<Vec<Target>> + Send>,
    /// What happens by itself.
    pub schedules: Vec<Schedule>,
    /// The routes of the dialect, once the service is there. They open when it has started.
    pub dialect: Box<dyn FnOnce(Parts) -> BoxFuture<'static, Result<Dialect>> + Send>,
}

/// What a dialect is made of.
#[derive(Debug)]
pub struct Parts {
    /// The service.
    pub service: BackupService,
    /// The first of the targets, where there is one.
    pub target: Option<Target>,
    /// Where the backups are.
    pub repository: Repository,
    /// What the service keeps its state in.
    pub state: Arc<dyn State>,
}

impl Parts {
    /// The one thing that is protected.
    ///
    /// # Errors
    /// `input.invalid` when there is none.
    pub fn only_target(&self) -> Result<Target> {
        let nothing = || Error::new(&backup_core::error::codes::INPUT_INVALID, "there is nothing to back up");
        self.target.clone().ok_or_else(nothing)
    }
}

/// The routes of a dialect.
pub struct Dialect {
    /// Its router, without a fallback.
    pub router: Router,
    /// The answer where no route is.
    pub not_found: fn(RequestId) -> BoxFuture<'static, Response>,
    /// Its description.
    pub openapi: utoipa::openapi::OpenApi,
    /// The header in which a client says what its request is called.
    pub request_id: Option<HeaderName>,
    /// What goes around everything else.
    pub dress: Option<fn(Router) -> Router>,
    /// What it does itself when the server stops, beside the service.
    pub stop: Option<BoxFuture<'static, ()>>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("program", &self.program).field("http", &self.http).finish_non_exhaustive()
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialect").field("router", &self.router).finish_non_exhaustive()
    }
}
