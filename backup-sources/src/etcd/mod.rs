#![doc = include_str!("docs.md")]

mod capture;
mod check;
mod client;
pub mod codes;
mod config;
mod data_dir;
mod inspect;
mod member;
mod restore;
mod stream;
mod tarball;
#[cfg(test)]
mod tests;
mod tool;

use backup_core::{
    BackupReader, Inspection, JobContext, Probe, RestoreReport, RestoreTarget, Result, Sink, Source, Summary, async_trait,
};

pub use config::{EtcdConfig, Packaging};

/// An etcd cluster, captured as `etcdctl snapshot save` does. See the [module](self).
#[derive(Debug, Clone)]
pub struct EtcdSource {
    config: EtcdConfig,
}

impl EtcdSource {
    /// A source that captures the cluster that `config` says. Connects to nothing yet.
    ///
    /// # Errors
    /// `input.invalid` for a configuration that cannot work.
    pub fn new(config: EtcdConfig) -> Result<Self> {
        Ok(Self { config: config.check()? })
    }

    /// The same source with another name for the artifact and the member inside a tar: `snapshot-20261121_120000`.
    ///
    /// # Errors
    /// `input.invalid` when it is no plain file name.
    pub fn with_name(&self, name: impl Into<String>) -> Result<Self> {
        Self::new(EtcdConfig { name: name.into(), ..self.config.clone() })
    }
}

#[async_trait]
impl Source for EtcdSource {
    fn kind(&self) -> &str {
        "etcd"
    }

    fn open_artifacts(&self) -> usize {
        1
    }

    async fn probe(&self, cx: &JobContext) -> Result<Probe> {
        let (member, _) = member::choose(cx, &self.config).await?;
        Ok(member.standing.probe())
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        capture::capture(&self.config, cx, sink).await
    }

    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        restore::restore(&self.config, cx, reader, target).await
    }

    async fn inspect(&self, cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
        inspect::inspect(&self.config, cx, reader).await
    }
}
