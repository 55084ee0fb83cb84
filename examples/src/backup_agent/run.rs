//! The agent from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::service::BackupService;
use backup_core::{Environment, Error, Result};
use backup_http::auth::BasicUser;
use backup_http::backup_agent::{self, BackupAgent};
use backup_http::limits::Limits;
use backup_http::server::{Listen, Server};
use backup_stores::OpenOptions;
use backup_stores::redb::RedbState;
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::config::Config;
use super::work::Scripts;
use crate::server::{self, Dialect, HttpConfig, MeasuredCalls, Signals};

/// How long jobs may go on after the first signal, before they are cancelled. Their cleanup and unlock come then.
const GRACE: Duration = Duration::from_secs(20);

/// What an answer about a job that was just cancelled still needs after that.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Requests at once: one more is answered with 503.
const REQUESTS: usize = 2048;

/// Bytes of a request: room for some parameters of the longest kind.
const BODY: u64 = 4 << 20;

/// Runs the agent until a signal ends it.
///
/// # Errors
/// What kept it from starting; `job.cancelled` when a second signal cut its graceful end short.
pub(super) async fn run(config: Config) -> Result<()> {
    let mut signals = Signals::catch()
        .map_err(|error| Error::new(&codes::INTERNAL, "the signals that end the server cannot be caught").with_source(error))?;
    let started = tokio::select! {
        started = Running::start(Arc::new(config)) => started?,
        signal = signals.next() => {
            tracing::info!(signal, "ended before it had started");
            return Ok(());
        }
    };
    let Running { agent, service, server, router } = started;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.run(router, stop.clone(), GRACE + LAST_ANSWERS));
    let signal = signals.next().await;
    tracing::info!(signal, grace = ?GRACE, "stopping: running jobs and open requests get the grace period");
    stop.cancel();
    let ended = async {
        tokio::join!(agent.stop(GRACE), service.stop(GRACE));
        serving.await
    };
    tokio::select! {
        ended = ended => {
            if let Err(error) = ended {
                tracing::error!(%error, "the HTTP server did not end well");
            }
            tracing::info!("stopped");
            Ok(())
        }
        signal = signals.next() => {
            let what = format!("{signal} during the graceful end: what was under way is cut, and undone at the next start");
            Err(Error::new(&codes::JOB_CANCELLED, what))
        }
    }
}

/// All parts of an agent that has started.
struct Running {
    agent: BackupAgent,
    /// It has no targets: what the agent backs up comes with the requests. It answers for health.
    service: BackupService,
    server: Server,
    router: axum::Router,
}

impl Running {
    async fn start(config: Arc<Config>) -> Result<Self> {
        let path = config.state.clone();
        let opened = tokio::task::spawn_blocking(move || RedbState::open(path)).await;
        let ended_early = |error| Error::new(&codes::INTERNAL, "opening the state ended early").with_source(error);
        let state = Arc::new(opened.map_err(ended_early)??);
        let environment = Environment::default();
        let credentials = BasicUser::new(&config.username, config.password.clone());
        // The port opens when what an earlier process left behind is undone.
        let metrics = server::metrics(super::PROGRAM);
        let options = OpenOptions::default().observer(MeasuredCalls::shared(&metrics));
        let agent = BackupAgent::builder(Arc::new(Scripts::new(Arc::clone(&config), options)), state.clone(), credentials)
            .environment(environment.clone())
            .metrics(metrics.clone())
            .max_jobs(config.max_jobs)
            .retention(config.job_retention)
            .skip_storage(config.skip_storage)
            .default_s3_endpoint(&config.s3_endpoint)
            .start()
            .await?;
        let service = BackupService::builder(state).environment(environment).start().await?;
        let http = HttpConfig {
            listen: Listen::from(format!("{}:{}", config.address, config.port).as_str()),
            limits: limits(),
            ..HttpConfig::default()
        };
        let server = http.bind().await?;
        let dialect = Dialect {
            router: backup_agent::router(agent.clone()),
            not_found: |_| backup_agent::not_found().boxed(),
            openapi: backup_agent::openapi(),
            request_id: None,
            dress: None,
            stop: None,
        };
        let router = http.router(dialect, &metrics, service.clone())?;
        for address in server.local_addrs() {
            tracing::info!(program = super::PROGRAM, %address, state = %config.state.display(), "listening");
        }
        Ok(Self { agent, service, server, router })
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.body_bytes = BODY;
    limits.concurrent_requests = REQUESTS;
    limits.connections = REQUESTS * 2;
    limits
}
