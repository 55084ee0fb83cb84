//! What each stage's script is told: the arguments of the backup agent's contract.

use std::path::Path;

use backup_core::Secret;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::script::parameters::Parameters;
use crate::script::plan::Plan;
use crate::script::program::Program;
use crate::script::stage::{Operation, Stage};

/// How passwords reach the scripts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretsIn {
    /// As arguments, which every user of the machine can see: the scripts' contract.
    #[default]
    Argv,
    /// As `BACKUP_PASSWORD` and `BACKUP_ENCRYPTION_KEY`; the arguments in their places are empty.
    Environment,
}

/// One job for staged scripts, in the words of the contract.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request {
    /// The job's id, as the scripts know it.
    pub id: String,
    /// The host of the database.
    pub host: String,
    /// The user of the database.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// The database.
    pub database: String,
    /// `NAME` of a backup (see [`Request::name`]), the file name of a restore.
    pub file: String,
    /// Whether the script shall compress.
    pub compression: bool,
    /// What the script shall encrypt with; `none` by convention for nothing.
    pub encryption_key: Secret,
    /// More variables for every stage.
    pub parameters: Parameters,
    /// How passwords reach the scripts.
    pub secrets_in: SecretsIn,
}

impl Request {
    /// A request about a database, without compression, encryption (`none`) and parameters.
    pub fn new(id: &str, host: &str, username: &str, password: Secret, database: &str, file: &str) -> Self {
        Self {
            id: id.to_owned(),
            host: host.to_owned(),
            username: username.to_owned(),
            password,
            database: database.to_owned(),
            file: file.to_owned(),
            compression: false,
            encryption_key: "none".into(),
            parameters: Parameters::default(),
            secrets_in: SecretsIn::default(),
        }
    }

    /// The `NAME` that a backup's script is given: `YYYY_MM_DD_HH_MM_<host>_<database>`, UTC. It is meant as a file name, so a slash
    /// in it becomes `_`.
    pub fn name(now: DateTime<Utc>, host: &str, database: &str) -> String {
        format!("{}_{host}_{database}", now.format("%Y_%m_%d_%H_%M")).replace('/', "_")
    }

    /// The plan of a job that runs the scripts of a directory, every stage of them. The caller sets limits and the state directory, and
    /// may add variables.
    pub fn plan(&self, operation: Operation, scripts: &Path) -> Plan {
        let mut plan = Plan::new(self.id.clone(), operation);
        for &stage in Stage::of(operation) {
            let arguments = self.arguments(stage);
            plan.programs.insert(stage, Program::Script { directory: scripts.to_owned(), arguments });
        }
        if self.secrets_in == SecretsIn::Environment {
            plan.main_environment.insert("BACKUP_PASSWORD".to_owned(), self.password.clone());
            plan.main_environment.insert("BACKUP_ENCRYPTION_KEY".to_owned(), self.encryption_key.clone());
        }
        plan.secrets = vec![self.password.clone(), self.encryption_key.clone()];
        for (name, value) in self.parameters.iter() {
            plan.environment.insert(name.to_owned(), value.clone());
            plan.secrets.push(value.clone());
        }
        plan
    }

    fn arguments(&self, stage: Stage) -> Vec<Secret> {
        let text = |text: &str| Secret::from(text);
        match stage {
            Stage::PreBackupLock | Stage::PreBackupCheck | Stage::PostBackupUnlock => vec![text(&self.database)],
            Stage::BackupCleanup => vec![text(&self.database), text(&self.id)],
            Stage::PreRestoreLock | Stage::RestoreCleanup => vec![text(&self.id)],
            Stage::PostRestoreUnlock => Vec::new(),
            Stage::Backup | Stage::Restore => {
                let secret = |secret: &Secret| match self.secrets_in {
                    SecretsIn::Argv => secret.clone(),
                    SecretsIn::Environment => Secret::default(),
                };
                vec![
                    text(&self.host),
                    text(&self.username),
                    secret(&self.password),
                    text(&self.database),
                    text(&self.file),
                    text(&self.id),
                    text(if self.compression { "true" } else { "false" }),
                    secret(&self.encryption_key),
                ]
            }
        }
    }
}
