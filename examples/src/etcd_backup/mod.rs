//! The program `etcd-backup`: see `docs/etcd-backup.md`.

mod config;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;

use backup_core::budget::MemoryBudget;
use backup_core::environment::SystemClock;
use backup_core::service::{Limits, Target};
use backup_core::{Result, Source};
use backup_http::etcd_backup::{self, EtcdBackup, SnapshotNaming, TimestampedSource};
use backup_sources::etcd::EtcdSource;
use futures::FutureExt;
use futures::future::ready;

pub use config::Config;

use crate::server::{self, Dialect, Plan};

const PROGRAM: &str = "etcd-backup";

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    server::main(PROGRAM, "Backs up an etcd cluster on request, in place of cybozu's etcd-backup", plan)
}

/// The server that a configuration describes.
///
/// # Errors
/// `input.invalid` for what no single key says.
pub fn plan(config: Config) -> Result<Plan> {
    let etcd = EtcdSource::new(config.etcd()?)?;
    let source = TimestampedSource::new(move |name| Ok(Arc::new(etcd.with_name(name)?) as Arc<dyn Source>))?;
    let (request, retention) = (config.request()?, config.retention());
    Ok(Plan {
        program: PROGRAM,
        metrics: server::metrics(PROGRAM),
        store: config.store()?,
        objective: config.objective,
        http: config.http(),
        schedules: config.schedules()?,
        state: config.state,
        naming: Arc::new(SnapshotNaming::new(Arc::new(SystemClock))),
        limits: Limits::default(),
        memory: MemoryBudget::default(),
        grace: config.shutdown_grace,
        targets: Box::new(|repository| Ok(vec![Target::new(repository, Arc::new(source), request).retention(retention)])),
        dialect: Box::new(|parts| {
            let dialect = parts.only_target().map(|target| {
                let dialect = EtcdBackup::new(parts.service, target);
                let early = dialect.clone();
                // So that the first list need not wait for it.
                tokio::spawn(async move { early.take_over().await });
                Dialect {
                    router: etcd_backup::router(dialect),
                    not_found: |id| etcd_backup::not_found(id).boxed(),
                    openapi: etcd_backup::openapi(),
                    request_id: Some(etcd_backup::REQUEST_ID),
                    dress: None,
                    stop: None,
                }
            });
            ready(dialect).boxed()
        }),
    })
}
