//! The program `etcd-sidecar`: see `docs/etcd-sidecar.md`.

mod config;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::sync::Arc;

use backup_core::Result;
use backup_core::budget::MemoryBudget;
use backup_core::schedule::{Action, Schedule, Trigger};
use backup_core::service::Limits;
use backup_http::etcd_sidecar::{self, EtcdSidecar};
use backup_sources::etcd::EtcdSource;
use futures::FutureExt;
use futures::future::ready;

pub use config::Config;

use crate::server::{self, Dialect, Plan};

const PROGRAM: &str = "etcd-sidecar";

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    server::main(PROGRAM, "Backs up an etcd cluster, in place of the backup sidecar of etcd-operator", plan)
}

/// The server that a configuration describes.
///
/// # Errors
/// `input.invalid` for what no single key says.
pub fn plan(config: Config) -> Result<Plan> {
    let naming = config.naming()?;
    let source = Arc::new(EtcdSource::new(config.etcd()?)?);
    let max_backups = config.max_backups();
    // A `backupnow` in between lets the interval begin anew, as in the original.
    let interval = Trigger::Interval { every: config.interval() };
    let periodic = Schedule::new("periodic", naming.set().clone(), Action::Backup, interval);
    let for_target = naming.clone();
    Ok(Plan {
        program: PROGRAM,
        metrics: server::metrics(PROGRAM),
        http: config.http(),
        state: config.state,
        store: config.store,
        objective: config.objective,
        naming: Arc::new(naming),
        limits: Limits::default(),
        memory: MemoryBudget::default(),
        grace: config.shutdown_grace,
        targets: Box::new(move |repository| Ok(vec![etcd_sidecar::target(repository, source, &for_target, max_backups)])),
        schedules: vec![periodic],
        dialect: Box::new(|parts| {
            let dialect = parts.only_target().map(|target| Dialect {
                router: etcd_sidecar::router(EtcdSidecar::new(parts.service, target)),
                not_found: |_| etcd_sidecar::not_found().boxed(),
                openapi: etcd_sidecar::openapi(),
                request_id: None,
                dress: None,
                stop: None,
            });
            ready(dialect).boxed()
        }),
    })
}
