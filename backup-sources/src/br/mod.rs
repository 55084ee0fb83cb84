//! TiDB clusters, backed up by BR.
//!
//! BR writes by itself: TiDB and every TiKV send their files to the store, and nothing of the data passes through this process. What is kept
//! is in BR's own format, so `br restore full` restores it without this software. The source says where to write, watches, and reads
//! `backupmeta` back before it vouches for a single file.
//!
//! Two ways lead to BR: the SQL statement `BACKUP` on a TiDB server ([`SqlConfig`]), and the program `br` ([`ProgramConfig`]).
//!
//! # Behavior
//! - A backup is finished when `backupmeta` was read back, is whole, and every file that it names lies in the store with its size; a verify
//!   reads every file against the SHA-256 that `backupmeta` holds.
//! - An incremental backup is [`BrSource::incremental`], from the position of an earlier one, which is its parent; with
//!   [`BrSource::of_cluster`] it is refused for another cluster than the parent's.
//! - A restore goes into the cluster of the source; its target is `{}`, or `{"cluster-version": "7.5.1"}` where the cluster cannot tell its
//!   version. Before BR is asked, the versions are checked, and that every file is there with its size; whether its bytes are those that
//!   were stored, a verify says. A full backup comes first, then its incrementals, oldest first.
//! - What still runs after a crash of this process is ended by [`BrSource::end_leftovers`], before anything else is done to that place.

mod capture;
pub mod codes;
mod config;
mod executor;
mod failure;
mod inspect;
mod key;
pub mod meta;
mod percent;
mod place;
mod program;
mod restore;
mod sql;
#[cfg(test)]
mod tests;
mod tso;
mod version;

use std::sync::Arc;

use backup_core::store::ExternalLocation;
use backup_core::{BackupReader, Inspection, JobContext, Probe, RestoreReport, RestoreTarget, Result, Sink, Source, Summary};

pub use config::{BrConfig, Encryption, EncryptionMethod, ExecutorConfig, ProgramConfig, SqlConfig, Tuning};
use executor::Executor;
pub use tso::Tso;

/// A TiDB cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BrSource {
    config: Arc<BrConfig>,
    executor: Arc<dyn Executor>,
    /// From where an incremental backup starts.
    since: Option<Tso>,
    /// The only cluster that is backed up; any, when it is `None`.
    cluster: Option<String>,
}

impl BrSource {
    /// Makes a source of a configuration, for full backups. Connects to nothing.
    ///
    /// # Errors
    /// `br.config`.
    pub fn new(config: BrConfig) -> Result<Self> {
        config.check()?;
        let executor = executor::of(&config)?;
        Ok(Self { config: Arc::new(config), executor, since: None, cluster: None })
    }

    /// The same cluster, for a backup of what changed after `since`: the position of a backup that will be its parent.
    #[must_use]
    pub fn incremental(&self, since: Tso) -> Self {
        Self { since: Some(since), ..self.clone() }
    }

    /// The same source, which fails with `br.other_cluster` when the cluster is not `id`: the identity of the backups before, and of the
    /// parent of an incremental one. Nothing of another cluster is published then.
    #[must_use]
    pub fn of_cluster(&self, id: impl Into<String>) -> Self {
        Self { cluster: Some(id.into()), ..self.clone() }
    }

    /// Up to where TiDB has removed old versions: an incremental backup needs everything after its parent's position. `None` when it
    /// cannot be known.
    ///
    /// # Errors
    /// `br.unreachable`, also when none of PD's addresses answers; `br.login`, `br.denied`.
    pub async fn gc_safe_point(&self, cx: &JobContext) -> Result<Option<Tso>> {
        self.executor.gc_safe_point(cx).await
    }

    /// Ends whatever a process that is gone left working on `location`, and returns when it has ended; how many tasks there were.
    ///
    /// # Behavior
    /// In SQL these are the statements BACKUP and RESTORE of the configured user for that place, on the server that the address leads to:
    /// behind a balancer, 0 does not prove that nothing works on another server.
    ///
    /// A program `br` is found on this host, and among the processes that this one can see, alone. Where the notes lie in a directory that
    /// others share, one that was started elsewhere is an error that says where.
    ///
    /// # Errors
    /// As [`BrSource::gc_safe_point`], `br.left_elsewhere`, `br.failed`, `br.note`: then it may still work.
    pub async fn end_leftovers(&self, cx: &JobContext, location: &ExternalLocation) -> Result<usize> {
        self.executor.end_leftovers(cx, location).await
    }
}

#[backup_core::async_trait]
impl Source for BrSource {
    fn kind(&self) -> &str {
        "br"
    }

    async fn probe(&self, cx: &JobContext) -> Result<Probe> {
        capture::probe(self, cx).await
    }

    /// None: BR writes by itself.
    fn open_artifacts(&self) -> usize {
        0
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        capture::capture(self, cx, sink).await
    }

    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        restore::restore(self, cx, reader, target).await
    }

    async fn inspect(&self, cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
        inspect::inspect(self, cx, reader).await
    }
}
