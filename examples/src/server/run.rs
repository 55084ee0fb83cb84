//! A server from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use backup_core::event::TracingObserver;
use backup_core::service::{BackupService, ServiceBuilder};
use backup_core::state::StateLeases;
use backup_core::{Environment, Error, JobContext, Repository, Result};
use backup_http::server::Server;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use tokio_util::sync::CancellationToken;

use super::plan::{Parts, Plan};
use super::signals::Signals;
use super::{janitor, store};

/// What an answer about a job that was just cancelled still needs after the grace period.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Runs a server until a signal ends it.
///
/// # Errors
/// What kept it from starting; `job.cancelled` when a second signal cut its graceful end short.
pub(super) async fn run(plan: Plan) -> Result<()> {
    let mut signals = Signals::catch().map_err(|error| {
        Error::new(&backup_core::error::codes::INTERNAL, "the signals that end the server cannot be caught").with_source(error)
    })?;
    let grace = plan.grace;
    let started = tokio::select! {
        started = Running::start(plan) => started?,
        signal = signals.next() => {
            tracing::info!(signal, "ended before it had started");
            return Ok(());
        }
    };
    let Running { service, server, router, janitor, own } = started;
    let stop = CancellationToken::new();
    let serving = tokio::spawn(server.run(router, stop.clone(), grace + LAST_ANSWERS));

    let signal = signals.next().await;
    tracing::info!(signal, ?grace, "stopping: running jobs and open requests get the grace period");
    stop.cancel();
    janitor.cancel_token().cancel();
    let ended = async {
        // What it leaves in the middle is taken up by the next one.
        let own = tokio::time::timeout(grace + LAST_ANSWERS, own);
        if tokio::join!(service.stop(grace), own).1.is_err() {
            tracing::warn!("not all has ended in time; the next start goes on with it");
        }
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
            let what = format!("{signal} during the graceful end: what was under way is cut");
            Err(Error::new(&backup_core::error::codes::JOB_CANCELLED, what))
        }
    }
}

/// All parts of a server that has started.
struct Running {
    service: BackupService,
    server: Server,
    router: axum::Router,
    /// The context of the background janitor.
    janitor: JobContext,
    /// The dialect's own end.
    own: BoxFuture<'static, ()>,
}

impl Running {
    async fn start(plan: Plan) -> Result<Self> {
        let server = plan.http.bind().await?;
        // The state first: it is what keeps a second process of the same configuration out.
        let state = plan.state.open(plan.program).await?;
        let environment = Environment::default();
        let cx = JobContext::new(environment.clone(), Arc::new(TracingObserver));
        let metrics = plan.metrics;
        let store = store::open(&plan.store, &cx, &metrics).await?;
        let repository = Repository::builder(store)
            .naming(plan.naming)
            .leases(Arc::new(StateLeases::new(Arc::clone(&state))))
            .environment(environment.clone())
            .budget(plan.memory)
            .build();
        let objective = plan.objective;
        let targets: Vec<_> = (plan.targets)(repository.clone())?.into_iter().map(|target| objective.declare(target)).collect();
        let target = targets.first().cloned();
        let builder = BackupService::builder(Arc::clone(&state))
            .environment(environment)
            .limits(plan.limits)
            .observer(Arc::new(metrics.clone()));
        let builder = targets.into_iter().fold(builder, ServiceBuilder::target);
        let service = plan.schedules.into_iter().fold(builder, ServiceBuilder::schedule).start().await?;
        let parts = Parts { service: service.clone(), target, repository: repository.clone(), state };
        let mut dialect = (plan.dialect)(parts).await?;
        let own = dialect.stop.take().unwrap_or_else(|| ready(()).boxed());
        let router = plan.http.router(dialect, &metrics, service.clone())?;
        let janitor = repository.context();
        tokio::spawn(janitor::run(repository, janitor.clone()));
        for address in server.local_addrs() {
            tracing::info!(program = plan.program, %address, store = %plan.store, "listening");
        }
        Ok(Self { service, server, router, janitor, own })
    }
}
