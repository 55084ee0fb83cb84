//! The configuration of a script source.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::{ArtifactName, Error, JobContext, Result, Secret};
use serde::Deserialize;

use super::plan::{self, Plan, check_environment};
use super::probe::Probing;
use super::program::Program;
use super::stage::{Operation, Role, Stage};
use crate::duration;
use crate::process::LogLimits;

/// What to run. Keys are kebab-case; an unknown one is refused. `docs.md` beside this file describes them for users.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct ScriptConfig {
    /// The program and its arguments; no shell reads them.
    pub command: Vec<String>,
    /// The name of the artifact.
    #[serde(default = "default_artifact")]
    pub artifact: ArtifactName,
    /// The environment, besides `PATH`, `HOME`, `LANG` and `TMPDIR`.
    #[serde(default)]
    pub environment: BTreeMap<String, Secret>,
    /// The working directory; this process's when unset.
    #[serde(default)]
    pub working_directory: Option<PathBuf>,
    /// How long the command, and each hook, may take; as long as the job when unset.
    #[serde(default, deserialize_with = "duration::deserialize_option")]
    pub time_limit: Option<Duration>,
    /// How long the program may take to end after it was asked to, and how long its output may stay open after it ended.
    #[serde(default = "default_grace", deserialize_with = "duration::deserialize")]
    pub grace: Duration,
    /// The program that is fed the artifact on a restore which names no other.
    #[serde(default)]
    pub restore_command: Option<Vec<String>>,
    /// Programs around the command and the restore command: every stage but `backup` and `restore`.
    #[serde(default)]
    pub hooks: BTreeMap<Stage, Vec<String>>,
    /// Where the records of running jobs are kept, so that hooks which undo others are run after a crash, too. Needed with such hooks.
    #[serde(default)]
    pub state_directory: Option<PathBuf>,
    /// How long cleanup and unlock may still take once the job was cancelled or its deadline passed; each of them after a crash.
    #[serde(default = "default_cleanup_limit", deserialize_with = "duration::deserialize")]
    pub cleanup_limit: Duration,
    /// A program that tells where the thing that is backed up stands.
    #[serde(default)]
    pub probe_command: Option<Vec<String>>,
    /// How much of each program's streams is kept.
    #[serde(default)]
    pub log: LogLimits,
}

fn default_artifact() -> ArtifactName {
    #[allow(clippy::expect_used, reason = "the literal is a legal name; a test reads it")]
    ArtifactName::new("output").expect("a legal name")
}

fn default_grace() -> Duration {
    plan::GRACE
}

fn default_cleanup_limit() -> Duration {
    plan::CLEANUP_LIMIT
}

impl ScriptConfig {
    /// A command with everything else at its default.
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            artifact: default_artifact(),
            environment: BTreeMap::new(),
            working_directory: None,
            time_limit: None,
            grace: default_grace(),
            restore_command: None,
            hooks: BTreeMap::new(),
            state_directory: None,
            cleanup_limit: default_cleanup_limit(),
            probe_command: None,
            log: LogLimits::default(),
        }
    }

    /// # Errors
    /// `input.invalid`, naming the key.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::new(&codes::INPUT_INVALID, format!("script source: {what}")));
        check_command("command", &self.command)?;
        if let Some(command) = &self.restore_command {
            check_command("restore-command", command)?;
        }
        if let Some(command) = &self.probe_command {
            check_command("probe-command", command)?;
        }
        check_environment(&self.environment)?;
        self.check_hooks()?;
        if self.time_limit == Some(Duration::ZERO) {
            return refuse("time-limit is zero; leave it out for none".to_owned());
        }
        Ok(())
    }
}

impl ScriptConfig {
    fn check_hooks(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::new(&codes::INPUT_INVALID, format!("script source: {what}")));
        for (stage, command) in &self.hooks {
            if stage.role() == Role::Main {
                return refuse(format!("{stage} is no hook; it is `command` or `restore-command`"));
            }
            check_command(stage.name(), command)?;
        }
        let has = |stage: Stage| self.hooks.contains_key(&stage);
        for (lock, unlock) in [(Stage::PreBackupLock, Stage::PostBackupUnlock), (Stage::PreRestoreLock, Stage::PostRestoreUnlock)]
        {
            if has(lock) && !has(unlock) {
                return refuse(format!("{lock} without {unlock} would leave locked what is backed up"));
            }
        }
        if self.state_directory.is_none() && self.hooks.keys().any(|stage| stage.locks() || stage.undoes()) {
            return refuse(
                "hooks that lock, clean up or unlock need a state-directory: after a crash they are made up for from there"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// What a job runs, `main` between the hooks.
    pub(super) fn plan(&self, cx: &JobContext, operation: Operation, main: &[String]) -> Plan {
        let mut plan = Plan::new(cx.job().as_str(), operation);
        let of = |stage: &Stage| stage.operation() == operation;
        let hooks = self.hooks.iter().filter(|(stage, _)| of(stage));
        plan.programs = hooks.map(|(stage, command)| (*stage, Program::command(command.clone()))).collect();
        // Nothing would be left to undo after a crash.
        let record = !plan.programs.is_empty();
        let stage = if operation == Operation::Backup { Stage::Backup } else { Stage::Restore };
        plan.programs.insert(stage, Program::command(main.to_vec()));
        plan.environment = self.environment.clone();
        plan.secrets = self.environment.values().cloned().collect();
        plan.working_directory = self.working_directory.clone();
        plan.time_limit = self.time_limit;
        plan.cleanup_limit = self.cleanup_limit;
        plan.grace = self.grace;
        plan.log = self.log;
        plan.state_directory = self.state_directory.clone().filter(|_| record);
        plan
    }

    pub(super) fn probing(&self) -> Probing<'_> {
        Probing {
            command: self.probe_command.as_deref(),
            environment: &self.environment,
            directory: self.working_directory.as_deref(),
            time_limit: self.time_limit,
            grace: self.grace,
        }
    }
}

/// Refuses a command that cannot be run.
pub(super) fn check_command(key: &str, command: &[String]) -> Result<()> {
    let what = match command.first() {
        None => "is empty; give the program and its arguments as a list",
        Some(program) if program.is_empty() => "names no program",
        Some(_) if command.iter().any(|argument| argument.contains('\0')) => "holds a zero byte",
        Some(_) => return Ok(()),
    };
    Err(Error::new(&codes::INPUT_INVALID, format!("script source: {key} {what}")))
}
