#![doc = include_str!("docs.md")]

mod capture;
mod config;
mod restore;
#[cfg(test)]
mod tests;

use backup_core::{BackupReader, JobContext, Probe, RestoreReport, RestoreTarget, Result, Sink, Source, Summary, async_trait};

pub use config::ScriptConfig;

/// A command whose standard output is the artifact. See the [module](self).
#[derive(Debug, Clone)]
pub struct ScriptSource {
    config: ScriptConfig,
}

impl ScriptSource {
    /// A source that runs what `config` says.
    ///
    /// # Errors
    /// `input.invalid` for a configuration that cannot work.
    pub fn new(config: ScriptConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config })
    }
}

#[async_trait]
impl Source for ScriptSource {
    fn kind(&self) -> &str {
        "script"
    }

    fn open_artifacts(&self) -> usize {
        1
    }

    async fn probe(&self, _cx: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        capture::capture(&self.config, cx, sink).await
    }

    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        restore::restore(&self.config, cx, reader, target).await
    }
}
