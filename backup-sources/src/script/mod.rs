#![doc = include_str!("docs.md")]

mod capture;
pub mod codes;
mod config;
mod directory;
mod job;
mod job_file;
mod parameters;
mod plan;
mod probe;
mod program;
mod record;
mod recover;
mod restore;
mod run;
mod stage;
mod staged;
mod summary;
#[cfg(test)]
mod tests;
mod watch;

use backup_core::{BackupReader, JobContext, Probe, RestoreReport, RestoreTarget, Result, Sink, Source, Summary, async_trait};

pub use crate::LogLimits;
pub use config::ScriptConfig;
pub use directory::JobDirectory;
pub use job_file::JobFile;
pub use parameters::{MAX_PARAMETER, Parameters};
pub use plan::Plan;
pub use program::Program;
pub use record::Notebook;
pub use recover::{Interrupted, Recovered, interrupted, recover};
pub use run::{Ended, Failure, Main, Work, run};
pub use stage::{Operation, Stage};
pub use staged::{Request, SecretsIn, StagedConfig, StagedSource};
pub use watch::{StageOutcome, StageReport, Watch};

/// A command whose standard output is the artifact. See the [module](self).
#[derive(Debug, Clone)]
pub struct ScriptSource {
    config: ScriptConfig,
    watch: Option<Watch>,
}

impl ScriptSource {
    /// A source that runs what `config` says.
    ///
    /// # Errors
    /// `input.invalid` for a configuration that cannot work.
    pub fn new(config: ScriptConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config, watch: None })
    }

    /// The same, watched by the caller: a job can then be looked into while it runs. One job at a time, for it has one watch.
    #[must_use]
    pub fn watched(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    fn watch(&self) -> Watch {
        self.watch.clone().unwrap_or_default()
    }

    /// Undoes what jobs of this configuration left behind when their process died: ends their processes, runs their cleanup and unlock.
    /// To be called at start. Without hooks that undo something there is nothing to do.
    ///
    /// # Errors
    /// Those of [`recover()`].
    pub async fn recover(&self, cx: &JobContext) -> Result<Vec<Recovered>> {
        match &self.config.state_directory {
            Some(directory) => recover(cx, directory).await,
            None => Ok(Vec::new()),
        }
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

    async fn probe(&self, cx: &JobContext) -> Result<Probe> {
        probe::probe(&self.config.probing(), cx).await
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        capture::capture(&self.config, cx, sink, &self.watch()).await
    }

    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        restore::restore(&self.config, cx, reader, target, &self.watch()).await
    }
}
