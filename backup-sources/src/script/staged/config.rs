//! The configuration of staged scripts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backup_core::error::codes::INPUT_INVALID;
use backup_core::{Error, JobContext, Result, Secret};
use serde::Deserialize;

use super::arguments::{Request, SecretsIn};
use crate::duration;
use crate::process::LogLimits;
use crate::script::config::check_command;
use crate::script::parameters::Parameters;
use crate::script::plan::{self, Plan};
use crate::script::probe::Probing;
use crate::script::stage::Operation;

/// What staged scripts are run for. Keys are kebab-case; an unknown one is refused. `docs/script-source.md` describes them for users.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct StagedConfig {
    /// The directory of the scripts: each stage has one, `<stage>` or `<stage>.sh`.
    pub scripts: PathBuf,
    /// Where each job gets a directory of its own, `<job-directory>/<id>/`, removed when the job has ended.
    pub job_directory: PathBuf,
    /// Where the records of running jobs are kept, so that the lock is given back after a crash.
    pub state_directory: PathBuf,
    /// The host of the database.
    #[serde(default)]
    pub host: String,
    /// The user of the database.
    #[serde(default)]
    pub username: String,
    /// Its password.
    #[serde(default)]
    pub password: Secret,
    /// The database.
    pub database: String,
    /// Whether the script shall compress.
    #[serde(default)]
    pub compression: bool,
    /// What the `backup` script shall encrypt with; `none` for nothing.
    #[serde(default = "none")]
    pub encryption_key: Secret,
    /// What the `restore` script shall decrypt with, when it is another one.
    #[serde(default)]
    pub decryption_key: Option<Secret>,
    /// Variables for the scripts.
    #[serde(default)]
    pub parameters: BTreeMap<String, Secret>,
    /// How passwords reach the scripts.
    #[serde(default)]
    pub secrets: SecretsIn,
    /// How long each stage may take; as long as the job when unset.
    #[serde(default, deserialize_with = "duration::deserialize_option")]
    pub time_limit: Option<Duration>,
    /// How long cleanup and unlock may still take once the job was cancelled or its deadline passed; each of them after a crash.
    #[serde(default = "cleanup_limit", deserialize_with = "duration::deserialize")]
    pub cleanup_limit: Duration,
    /// How long a script may take to end after it was asked to.
    #[serde(default = "grace", deserialize_with = "duration::deserialize")]
    pub grace: Duration,
    /// How much of each script's streams is kept.
    #[serde(default)]
    pub log: LogLimits,
    /// A program that tells where the database stands.
    #[serde(default)]
    pub probe_command: Option<Vec<String>>,
}

fn none() -> Secret {
    "none".into()
}

fn cleanup_limit() -> Duration {
    plan::CLEANUP_LIMIT
}

fn grace() -> Duration {
    plan::GRACE
}

impl StagedConfig {
    /// The scripts of a directory for a database, everything else at its default.
    pub fn new(
        scripts: impl Into<PathBuf>,
        job_directory: impl Into<PathBuf>,
        state_directory: impl Into<PathBuf>,
        database: impl Into<String>,
    ) -> Self {
        Self {
            scripts: scripts.into(),
            job_directory: job_directory.into(),
            state_directory: state_directory.into(),
            host: String::new(),
            username: String::new(),
            password: Secret::default(),
            database: database.into(),
            compression: false,
            encryption_key: none(),
            decryption_key: None,
            parameters: BTreeMap::new(),
            secrets: SecretsIn::default(),
            time_limit: None,
            cleanup_limit: cleanup_limit(),
            grace: grace(),
            log: LogLimits::default(),
            probe_command: None,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::new(&INPUT_INVALID, format!("staged scripts: {what}")));
        let empty = |path: &Path| path.as_os_str().is_empty();
        if empty(&self.scripts) || empty(&self.job_directory) || empty(&self.state_directory) {
            return refuse("scripts, job-directory and state-directory have to be set");
        }
        if self.time_limit == Some(Duration::ZERO) {
            return refuse("time-limit is zero; leave it out for none");
        }
        if let Some(command) = &self.probe_command {
            check_command("probe-command", command)?;
        }
        self.checked_parameters().map(drop)
    }

    fn checked_parameters(&self) -> Result<Parameters> {
        let mut parameters = Parameters::default();
        for (name, value) in &self.parameters {
            parameters.insert(name, value.clone(), &["BACKUP_PASSWORD", "BACKUP_ENCRYPTION_KEY"])?;
        }
        Ok(parameters)
    }

    /// What a job runs; `file` is the name of the file that a restore brings back.
    pub(super) fn plan(&self, cx: &JobContext, operation: Operation, file: Option<&str>) -> Result<Plan> {
        let name = Request::name(cx.clock().now(), &self.host, &self.database);
        let file = file.unwrap_or(&name);
        let mut request =
            Request::new(cx.job().as_str(), &self.host, &self.username, self.password.clone(), &self.database, file);
        request.compression = self.compression;
        request.encryption_key = match (&self.decryption_key, operation) {
            (Some(key), Operation::Restore) => key.clone(),
            _ => self.encryption_key.clone(),
        };
        request.parameters = self.checked_parameters()?;
        request.secrets_in = self.secrets;
        let mut plan = request.plan(operation, &self.scripts);
        plan.time_limit = self.time_limit;
        plan.cleanup_limit = self.cleanup_limit;
        plan.grace = self.grace;
        plan.log = self.log;
        plan.state_directory = Some(self.state_directory.clone());
        Ok(plan)
    }

    pub(super) fn probing(&self) -> Probing<'_> {
        Probing {
            command: self.probe_command.as_deref(),
            environment: &self.parameters,
            directory: None,
            time_limit: self.time_limit,
            grace: self.grace,
        }
    }
}
