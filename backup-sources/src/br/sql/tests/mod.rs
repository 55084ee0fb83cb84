//! Against a stand-in that speaks TiDB's protocol.

mod cancel;
mod failures;
mod forgotten;
mod leftovers;
mod runs;
mod server;
mod tls;

#[path = "../../../../tests/support/tidb.rs"]
mod tidb;

use std::sync::Arc;
use std::time::Duration;

use backup_core::event::Event;
use backup_core::store::ExternalLocation;
use backup_core::testkit::{RecordingObserver, note_secret};
use backup_core::{Environment, Error, JobContext, Result};
use tempfile::TempDir;
use tidb::{Behaviour, TidbServer};
use tokio::task::JoinHandle;

use super::super::config::{BrConfig, ExecutorConfig, SqlConfig, Tuning};
use super::super::executor::{Done, Executor, Order};
use super::SqlExecutor;
use super::statement::Kind;

/// A server, a place for backups, and who drives them.
struct Bench {
    server: TidbServer,
    config: SqlConfig,
    directory: TempDir,
    observer: Arc<RecordingObserver>,
}

impl Bench {
    async fn new(change: impl FnOnce(&mut Behaviour)) -> Self {
        let mut behaviour = Behaviour::default();
        change(&mut behaviour);
        note_secret(&behaviour.password);
        let password = behaviour.password.as_str().into();
        let server = TidbServer::with(behaviour).await;
        let mut config = SqlConfig::new(server.address(), "root", password);
        config.poll = Duration::from_millis(5);
        Self { server, config, directory: tempfile::tempdir().unwrap(), observer: Arc::default() }
    }

    fn executor(&self) -> SqlExecutor {
        let config = BrConfig::new(ExecutorConfig::Sql(self.config.clone()));
        SqlExecutor::new(&self.config, &config).unwrap()
    }

    fn context(&self) -> JobContext {
        JobContext::new(Environment::default(), self.observer.clone())
    }

    /// The directory of that name.
    fn location(&self, name: &str) -> ExternalLocation {
        ExternalLocation::new(format!("file://{}/{name}", self.directory.path().display()))
    }

    fn order(&self, name: &str) -> Order {
        order_at(self.location(name))
    }

    async fn backup(&self, order: &Order) -> Result<Done> {
        self.executor().backup(&self.context(), order).await
    }

    /// Starts it on a task of its own.
    fn start(&self, kind: Kind, order: Order) -> Job {
        let (executor, cx) = (self.executor(), self.context());
        let inner = cx.clone();
        let run = tokio::spawn(async move {
            match kind {
                Kind::Backup => executor.backup(&inner, &order).await,
                Kind::Restore => executor.restore(&inner, &order).await,
            }
        });
        Job { cx, run }
    }

    /// The steps that were told, each once, without its percentages.
    fn steps(&self) -> Vec<String> {
        let mut steps: Vec<String> = self.told().into_iter().map(|(name, _)| name).collect();
        steps.dedup();
        steps
    }

    fn told(&self) -> Vec<(String, Option<u8>)> {
        let step = |event| match event {
            Event::Step { name, percent } => Some((name, percent)),
            _ => None,
        };
        self.observer.events().into_iter().filter_map(step).collect()
    }

    /// Waits until a step was told.
    async fn until_told(&self, step: &str) {
        self.until(step, || self.told().iter().any(|(name, _)| name == step)).await;
    }

    async fn until(&self, what: &str, wanted: impl Fn() -> bool) {
        let waiting = async {
            while !wanted() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok(), "not within a minute: {what}");
    }

    fn kills(&self) -> usize {
        self.server.statements().iter().filter(|sql| sql.starts_with("KILL")).count()
    }
}

struct Job {
    cx: JobContext,
    run: JoinHandle<Result<Done>>,
}

impl Job {
    async fn end(self) -> Result<Done> {
        tokio::time::timeout(Duration::from_secs(60), self.run).await.expect("the job ends within a minute").unwrap()
    }
}

fn order_at(location: ExternalLocation) -> Order {
    Order { location, since: None, tuning: Tuning::default(), encryption: None }
}

fn code(error: &Error) -> &'static str {
    error.code().name
}
