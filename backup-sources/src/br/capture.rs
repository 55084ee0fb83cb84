//! A backup by BR, from the order to the files that are vouched for.

use backup_core::error::codes as core;
use backup_core::{BackupReader, Error, Inspection, JobContext, Probe, RestoreReport, RestoreTarget, Result, Sink, Summary};

use super::BrSource;

pub(super) async fn probe(source: &BrSource, cx: &JobContext) -> Result<Probe> {
    let cluster = source.executor.identify(cx).await?;
    let mut probe = Probe::default();
    (probe.identity, probe.version) = (cluster.id, cluster.version.or_else(|| source.config.version.clone()));
    Ok(probe)
}

pub(super) async fn capture(_source: &BrSource, _cx: &JobContext, _sink: &dyn Sink) -> Result<Summary> {
    Err(Error::new(&core::SOURCE_UNSUPPORTED, "not yet"))
}

pub(super) async fn restore(_: &BrSource, _: &JobContext, _: &dyn BackupReader, _: &RestoreTarget) -> Result<RestoreReport> {
    Err(Error::new(&core::SOURCE_UNSUPPORTED, "not yet"))
}

pub(super) async fn inspect(_: &BrSource, _: &JobContext, _: &dyn BackupReader) -> Result<Inspection> {
    Err(Error::new(&core::SOURCE_UNSUPPORTED, "not yet"))
}
