//! The configuration of a script source.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::{ArtifactName, Error, Result};
use serde::Deserialize;

use crate::duration;
use backup_core::Secret;

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
    /// How long one capture may take; as long as the job when unset.
    #[serde(default, deserialize_with = "duration::deserialize_option")]
    pub time_limit: Option<Duration>,
    /// How long the program may take to end after it was asked to, and how long its output may stay open after it ended.
    #[serde(default = "default_grace", deserialize_with = "duration::deserialize")]
    pub grace: Duration,
    /// The program that is fed the artifact on a restore which names no other.
    #[serde(default)]
    pub restore_command: Option<Vec<String>>,
}

fn default_artifact() -> ArtifactName {
    #[allow(clippy::expect_used, reason = "the literal is a legal name; a test reads it")]
    ArtifactName::new("output").expect("a legal name")
}

fn default_grace() -> Duration {
    Duration::from_secs(5)
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
        let illegal = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
        if let Some(name) = self.environment.keys().find(illegal) {
            return refuse(format!("environment: {name:?} cannot be the name of a variable"));
        }
        if let Some((name, _)) = self.environment.iter().find(|(_, value)| value.expose().contains('\0')) {
            return refuse(format!("environment: the value of {name} holds a zero byte"));
        }
        if self.time_limit == Some(Duration::ZERO) {
            return refuse("time-limit is zero; leave it out for none".to_owned());
        }
        Ok(())
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
