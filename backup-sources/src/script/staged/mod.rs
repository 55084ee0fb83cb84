//! Staged scripts with a job directory.

mod arguments;
mod capture;
mod config;
mod restore;

use std::path::Path;

use backup_core::{BackupReader, JobContext, Probe, RestoreReport, RestoreTarget, Result, Sink, Source, Summary, async_trait};

pub use arguments::{Request, SecretsIn};
pub use config::StagedConfig;

use super::recover::{Recovered, recover};
use super::watch::Watch;

/// Scripts for each stage of a backup and of a restore, in the form of the backup agent. The file that the `backup` script leaves in the
/// job's directory is the artifact.
#[derive(Debug, Clone)]
pub struct StagedSource {
    config: StagedConfig,
    watch: Option<Watch>,
}

impl StagedSource {
    /// A source that runs the scripts which `config` names.
    ///
    /// # Errors
    /// `input.invalid` for a configuration that cannot work.
    pub fn new(config: StagedConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config, watch: None })
    }

    /// The same, watched by the caller: a job can then be looked into while it runs. One job at a time, for it has one watch.
    #[must_use]
    pub fn watched(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Undoes what jobs of this configuration left behind when their process died: ends their processes, runs their cleanup and unlock,
    /// removes their directories. To be called at start.
    ///
    /// # Errors
    /// Those of [`recover`](super::recover).
    pub async fn recover(&self, cx: &JobContext) -> Result<Vec<Recovered>> {
        let recovered = recover(cx, &self.config.state_directory).await?;
        for job in &recovered {
            remove(&self.config.job_directory.join(&job.id)).await;
        }
        Ok(recovered)
    }
}

/// Removes the directory of a job, whatever is in it: nobody else's are there.
async fn remove(directory: &Path) {
    match tokio::fs::remove_dir_all(directory).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(directory = %directory.display(), %error, "the directory of a job could not be removed");
        }
        _ => {}
    }
}

#[async_trait]
impl Source for StagedSource {
    fn kind(&self) -> &str {
        "script"
    }

    fn open_artifacts(&self) -> usize {
        1
    }

    async fn probe(&self, cx: &JobContext) -> Result<Probe> {
        super::probe::probe(&self.config.probing(), cx).await
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        capture::capture(&self.config, cx, sink, &self.watch.clone().unwrap_or_default()).await
    }

    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        restore::restore(&self.config, cx, reader, target, &self.watch.clone().unwrap_or_default()).await
    }
}
