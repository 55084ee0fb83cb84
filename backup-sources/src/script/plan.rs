//! What a job runs, and within which limits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use backup_core::error::codes::INPUT_INVALID;
use backup_core::{Error, Result, Secret};

use super::program::Program;
use super::stage::{Operation, Stage};
use crate::process::LogLimits;

/// How long cleanup and unlock may still take once the job was cancelled or its deadline passed.
pub(super) const CLEANUP_LIMIT: Duration = Duration::from_secs(60);
/// How long a program may take to end after it was asked to.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// What a job runs for each stage, and within which limits. `Debug` shows no argument and no variable's value.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Plan {
    /// The job's name among those that run: a plain file name, it names the record.
    pub id: String,
    /// What the job does.
    pub operation: Operation,
    /// The programs. A stage without one is passed over; one whose script is missing fails.
    pub programs: BTreeMap<Stage, Program>,
    /// The environment of every program, besides `PATH`, `HOME`, `LANG` and `TMPDIR`.
    pub environment: BTreeMap<String, Secret>,
    /// More of it for `backup` and `restore` alone. Never in the record.
    pub main_environment: BTreeMap<String, Secret>,
    /// What is struck out of logs (values of six bytes and more).
    pub secrets: Vec<Secret>,
    /// The working directory of the programs; this process's when unset.
    pub working_directory: Option<PathBuf>,
    /// How long each stage may take; as long as the job when unset.
    pub time_limit: Option<Duration>,
    /// How long cleanup and unlock may still take once the job was cancelled or its deadline passed; each of them after a crash.
    pub cleanup_limit: Duration,
    /// How long a program may take to end after it was asked to.
    pub grace: Duration,
    /// How much of each program's streams is kept.
    pub log: LogLimits,
    /// Where the record of the running job is kept, which [`recover`](super::recover) reads after a crash. Without one a crash leaves the
    /// lock behind.
    pub state_directory: Option<PathBuf>,
}

impl Plan {
    /// A job that runs nothing yet, with limits as by default.
    pub fn new(id: impl Into<String>, operation: Operation) -> Self {
        Self {
            id: id.into(),
            operation,
            programs: BTreeMap::new(),
            environment: BTreeMap::new(),
            main_environment: BTreeMap::new(),
            secrets: Vec::new(),
            working_directory: None,
            time_limit: None,
            cleanup_limit: CLEANUP_LIMIT,
            grace: GRACE,
            log: LogLimits::default(),
            state_directory: None,
        }
    }

    /// The environment of a stage.
    pub(super) fn environment_of(&self, stage: Stage) -> BTreeMap<String, Secret> {
        let mut environment = self.environment.clone();
        if matches!(stage, Stage::Backup | Stage::Restore) {
            environment.extend(self.main_environment.clone());
        }
        environment
    }

    pub(super) fn check(&self) -> Result<()> {
        check_id(&self.id)?;
        for (stage, program) in &self.programs {
            if stage.operation() != self.operation {
                return Err(Error::new(&INPUT_INVALID, format!("the {stage} stage is none of this operation's")));
            }
            program.check(*stage)?;
        }
        check_environment(self.environment.iter().chain(&self.main_environment))
    }
}

/// Refuses what cannot be the name of a job's directory.
pub(super) fn check_id(id: &str) -> Result<()> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if id.is_empty() || id.len() > 160 || id.starts_with('.') || !id.bytes().all(legal) {
        let shown: String = id.chars().take(80).collect();
        return Err(Error::new(
            &INPUT_INVALID,
            format!("{shown:?} cannot name a job: letters, digits, `.`, `_` and `-`, no dot in front, 160 bytes at most"),
        ));
    }
    Ok(())
}

/// Refuses what cannot be a variable.
pub(super) fn check_environment<'a>(environment: impl IntoIterator<Item = (&'a String, &'a Secret)>) -> Result<()> {
    for (name, value) in environment {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(Error::new(&INPUT_INVALID, format!("environment: {name:?} cannot be the name of a variable")));
        }
        if value.expose().contains('\0') {
            return Err(Error::new(&INPUT_INVALID, format!("environment: the value of {name} holds a zero byte")));
        }
    }
    Ok(())
}
