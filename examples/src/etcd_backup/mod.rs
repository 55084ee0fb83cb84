//! The program `etcd-backup`: see `docs/etcd-backup.md`.

pub mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use backup_core::service::Target;
use backup_core::state::State;
use backup_core::{BackupService, Environment, JobContext, Repository, Result, Source, Store};
use backup_http::etcd_backup::{EtcdBackup, SnapshotNaming, TimestampedSource};
use backup_sources::etcd::EtcdSource;

pub use config::Config;

/// The name of the program: of its state's directory, among others.
pub const PROGRAM: &str = "etcd-backup";

/// What the configuration says is backed up, on a store that is open.
///
/// # Errors
/// `input.invalid` for a source that cannot work.
pub fn target(config: &Config, store: Arc<dyn Store>, environment: &Environment) -> Result<Target> {
    let naming = SnapshotNaming::new(Arc::clone(&environment.clock));
    let repository = Repository::builder(store).environment(environment.clone()).naming(Arc::new(naming)).build();
    let etcd = EtcdSource::new(config.etcd()?)?;
    let source = TimestampedSource::new(move |name| Ok(Arc::new(etcd.with_name(name)?) as Arc<dyn Source>))?;
    Ok(Target::new(repository, Arc::new(source), config.request()?).retention(config.retention()))
}

/// Opens the store, and gives the dialect and the service it works on.
///
/// # Errors
/// Those of the store, of the state and of [`target`].
pub async fn start(config: &Config, state: Arc<dyn State>, cx: &JobContext) -> Result<(EtcdBackup, BackupService)> {
    let environment = cx.environment().clone();
    let target = target(config, config.store()?.open(cx).await?, &environment)?;
    let service = BackupService::builder(state).environment(environment).target(target.clone()).start().await?;
    Ok((EtcdBackup::new(service.clone(), target), service))
}
