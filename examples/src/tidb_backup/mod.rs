//! The program `tidb-backup`: see `docs/tidb.md`.

mod cluster;
mod config;
mod storage;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;

use backup_core::budget::MemoryBudget;
use backup_core::naming::DefaultNaming;
use backup_core::service::{Limits, Target};
use backup_core::{BackupRequest, Result, SetName};
use backup_http::tidb::{self, Cluster, TidbBackup};
use futures::FutureExt;

pub use config::{ClusterConfig, Config};

use crate::server::{self, Dialect, Plan};

const PROGRAM: &str = "tidb-backup";

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    server::main(PROGRAM, "Backs up TiDB clusters with BR, in place of the backups of TiUniManager", plan)
}

/// The server that a configuration describes.
///
/// # Errors
/// `input.invalid` and `br.config` for what no single key says.
pub fn plan(config: Config) -> Result<Plan> {
    let clusters: Vec<Arc<dyn Cluster>> =
        config.clusters(PROGRAM)?.into_iter().map(|cluster| Arc::new(cluster) as Arc<dyn Cluster>).collect();
    let named: Vec<_> = clusters.clone();
    let (store, path) = (config.storage.store()?, config.storage.shown()?);
    let (tokens, zone) = (config.tokens.clone(), config.time_zone);
    Ok(Plan {
        program: PROGRAM,
        metrics: server::metrics(PROGRAM),
        http: config.http(),
        store,
        objective: config.objective,
        schedules: Vec::new(),
        state: config.state,
        naming: Arc::new(DefaultNaming),
        limits: Limits::default().running(config.max_running_jobs).queued(config.max_queued_jobs),
        memory: MemoryBudget::default(),
        grace: config.shutdown_grace,
        targets: Box::new(move |repository| {
            let target = |cluster: &Arc<dyn Cluster>| {
                let request = BackupRequest::new(SetName::new(cluster.id())?);
                Ok(Target::new(repository.clone(), cluster.full(), request))
            };
            named.iter().map(target).collect()
        }),
        dialect: Box::new(move |parts| {
            async move {
                let builder = TidbBackup::builder(parts.service, parts.repository, parts.state);
                let dialect = builder.clusters(clusters).tokens(tokens).zone(zone).path(path).start().await?;
                let ending = dialect.clone();
                Ok(Dialect {
                    router: tidb::router(dialect),
                    not_found: |_| tidb::not_found().boxed(),
                    openapi: tidb::openapi(),
                    request_id: Some(tidb::TRACE_ID),
                    dress: Some(tidb::dress),
                    stop: Some(async move { ending.stop().await }.boxed()),
                })
            }
            .boxed()
        }),
    })
}
