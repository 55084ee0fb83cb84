//! What the two ways to BR have in common.

use std::fmt::Debug;
use std::sync::Arc;

use backup_core::store::ExternalLocation;
use backup_core::{Error, JobContext, Result, async_trait};

use super::config::{BrConfig, Encryption, ExecutorConfig, Tuning};
use super::{Tso, codes};

/// One way to BR.
///
/// # Cancel safety
/// Nothing here is dropped half-way: a cancelled `cx` ends the task of BR, and the call returns when that has ended.
#[async_trait]
pub(super) trait Executor: Debug + Send + Sync {
    /// Which cluster it is. What cannot be known is `None`.
    async fn identify(&self, cx: &JobContext) -> Result<Cluster>;

    /// Up to where old versions were removed; `None` when it cannot be known.
    async fn gc_safe_point(&self, cx: &JobContext) -> Result<Option<Tso>>;

    /// Makes a backup, and tells its steps as events.
    ///
    /// # Errors
    /// `br.gc_passed`, `br.not_empty`, `br.denied`, `br.ended`, `br.failed`, `br.unreachable`, `job.cancelled`.
    async fn backup(&self, cx: &JobContext, order: &Order) -> Result<Done>;

    /// Restores one.
    ///
    /// # Errors
    /// As [`Executor::backup`], effect unknown once BR has begun.
    async fn restore(&self, cx: &JobContext, order: &Order) -> Result<Done>;

    /// See [`BrSource::end_leftovers`](super::BrSource::end_leftovers).
    async fn end_leftovers(&self, cx: &JobContext, location: &ExternalLocation) -> Result<usize>;
}

/// A cluster, as far as it tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cluster {
    /// Its id at PD.
    pub(super) id: Option<String>,
    /// Its version: `6.5.0`.
    pub(super) version: Option<String>,
}

/// What BR shall do.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// Where the backup lies, or will. Its parameters hold credentials.
    pub(super) location: ExternalLocation,
    /// From where an incremental backup starts.
    pub(super) since: Option<Tso>,
    /// How fast.
    pub(super) tuning: Tuning,
    /// How it is encrypted.
    pub(super) encryption: Option<Encryption>,
}

/// What BR says it did. A claim: what counts is `backupmeta`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// The position of the backup.
    pub(super) backup_ts: Option<Tso>,
    /// Its bytes.
    pub(super) size: Option<u64>,
    /// What somebody should know.
    pub(super) warnings: Vec<String>,
    /// What BR printed, bounded, without secrets.
    pub(super) log: Option<String>,
}

pub(super) fn of(config: &BrConfig) -> Result<Arc<dyn Executor>> {
    match &config.executor {
        ExecutorConfig::Sql(_) => Err(Error::new(&codes::CONFIG, "not yet")),
        ExecutorConfig::Br(_) => Err(Error::new(&codes::CONFIG, "not yet")),
    }
}
