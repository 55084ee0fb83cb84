//! The dialect of the backup agent: `/backup`, `/restore`, `/status`.
//!
//! A client posts a job with the database and the destination in it and polls until the job is no longer `RUNNING`. What a job does is an
//! [`AgentWork`]; the example server brings the one with scripts and stores. `docs/backup-agent.md` says what differs from the original
//! and why.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use backup_core::{Result, state::State};
//! use backup_http::auth::BasicUser;
//! use backup_http::backup_agent::{self, AgentWork, BackupAgent};
//!
//! # async fn mount(work: Arc<dyn AgentWork>, state: Arc<dyn State>) -> Result<axum::Router> {
//! let credentials = BasicUser::new("manager", "secret");
//! let agent = BackupAgent::builder(work, state, credentials).max_jobs(10).start().await?;
//! let app = axum::Router::new().merge(backup_agent::router(agent)).fallback(backup_agent::not_found);
//! # Ok(app) }
//! ```

mod dto;
mod errors;
mod failure;
mod jobs;
mod json;
mod names;
mod openapi;
mod parse;
mod record;
mod request;
mod routes;
mod stage;
#[cfg(test)]
mod tests;
mod work;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backup_core::state::State;
use backup_core::{Environment, Result};

pub use openapi::openapi;
pub use record::Status;
pub use request::{Database, Destination, JobRequest, S3Destination, SwiftDestination};
pub use routes::{not_found, router};
pub use stage::{Operation, Stage};
pub use work::{AgentWork, BackupFile, Cause, Ending, Failure, Interrupted, Logs, Progress, Run, StageLog};

use crate::auth::{Auth, AuthConfig, BasicUser};
use crate::observe::Metrics;
use jobs::Jobs;
use parse::Defaults;

/// Jobs at once, as the original has it.
const MAX_JOBS: usize = 10;
/// How long a job that ended is remembered.
const RETENTION: Duration = Duration::from_secs(30 * 86_400);
/// Where an S3 destination without an endpoint is.
const S3_ENDPOINT: &str = "s3.amazonaws.com";

/// What the router of this dialect works on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BackupAgent {
    jobs: Arc<Jobs>,
    defaults: Arc<Defaults>,
    auth: Auth,
}

impl BackupAgent {
    /// An agent whose jobs are run by `work` and kept in `state`, for whoever knows these credentials.
    pub fn builder(work: Arc<dyn AgentWork>, state: Arc<dyn State>, credentials: BasicUser) -> AgentBuilder {
        AgentBuilder {
            work,
            state,
            credentials,
            environment: Environment::default(),
            metrics: None,
            max_jobs: MAX_JOBS,
            retention: RETENTION,
            defaults: Defaults { s3_endpoint: S3_ENDPOINT.to_owned(), skip_storage: false },
        }
    }

    /// Takes no more jobs, gives those that run `grace` to end, cancels what is left then, and returns when all have cleaned up and are
    /// recorded.
    pub async fn stop(&self, grace: Duration) {
        self.jobs.stop(grace).await;
    }
}

/// An agent before it has started.
pub struct AgentBuilder {
    work: Arc<dyn AgentWork>,
    state: Arc<dyn State>,
    credentials: BasicUser,
    environment: Environment,
    metrics: Option<Metrics>,
    max_jobs: usize,
    retention: Duration,
    defaults: Defaults,
}

impl AgentBuilder {
    /// Sets time and chance.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Sets where jobs are counted.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Sets how many jobs there may be at once, backups and restores together; 10 by default.
    #[must_use]
    pub fn max_jobs(mut self, count: usize) -> Self {
        self.max_jobs = count;
        self
    }

    /// Sets how long a job that ended is remembered unless it is deleted; 30 days by default.
    #[must_use]
    pub fn retention(mut self, keep: Duration) -> Self {
        self.retention = keep;
        self
    }

    /// Lets the scripts of every job move the data by themselves.
    #[must_use]
    pub fn skip_storage(mut self, yes: bool) -> Self {
        self.defaults.skip_storage = yes;
        self
    }

    /// Sets where an S3 destination without an endpoint is, with or without a scheme; `s3.amazonaws.com` by default.
    #[must_use]
    pub fn default_s3_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.defaults.s3_endpoint = endpoint.into();
        self
    }

    /// Starts the agent.
    ///
    /// # Behavior
    /// Jobs that an earlier process left running are recorded as failed (`interrupted`), and what they left behind is undone: this
    /// waits two minutes for it at most, the rest goes on beside new jobs.
    ///
    /// # Errors
    /// `http.config_invalid` for credentials that are empty or cannot be used; those of the state and of
    /// [`AgentWork::interrupted`].
    pub async fn start(self) -> Result<BackupAgent> {
        let mut config = AuthConfig::default();
        config.basic.push(self.credentials);
        let auth = Auth::rendering(&config, |_| errors::unauthorised())?;
        let jobs = Jobs::new(self.work, self.state, self.environment, self.max_jobs, self.retention);
        let jobs = Arc::new(jobs.counted_by(self.metrics));
        jobs.recover().await?;
        Ok(BackupAgent { jobs, defaults: Arc::new(self.defaults), auth })
    }
}

impl fmt::Debug for AgentBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentBuilder")
            .field("max_jobs", &self.max_jobs)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}
