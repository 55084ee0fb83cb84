//! What the dialect runs, as a trait: this crate knows neither scripts nor stores.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use backup_core::{JobContext, Result, async_trait};
use serde::{Deserialize, Serialize};

use super::request::JobRequest;
use super::stage::{Operation, Stage};

/// Runs the jobs that the dialect accepts.
///
/// # Behavior
/// The dialect decides which jobs run and when: slots, one after another for one database, cancelling, records. What a job does, its
/// stages and its transfer, is here.
#[async_trait]
pub trait AgentWork: Send + Sync + fmt::Debug + 'static {
    /// A job that is ready to run. Touches nothing and is quick: it is called while a client waits, before it is known whether there is a
    /// slot.
    ///
    /// # Errors
    /// Any error refuses the request with 400 and its text: what cannot be run, names that must not be.
    fn prepare(&self, request: JobRequest) -> Result<Arc<dyn Run>>;

    /// Jobs of an earlier process that had not ended, or whose end was not [noted](Run::noted). To run one is to undo what it left behind:
    /// its processes, its cleanup, its unlock.
    ///
    /// # Errors
    /// When it cannot be known which there are: the agent then does not start.
    async fn interrupted(&self) -> Result<Vec<Interrupted>>;
}

/// One job. It is run once.
#[async_trait]
pub trait Run: Send + Sync + fmt::Debug + 'static {
    /// Where it stands; at any time, also after its end.
    fn progress(&self) -> Progress;

    /// Does it. When it returns, nothing of it runs any more, and the lock is given back as far as that was possible.
    ///
    /// # Cancel safety
    /// Ended through `cx` only: then it stops what runs, cleans up and unlocks before it returns.
    async fn run(&self, cx: &JobContext) -> Ending;

    /// Its end is in the state: what was kept for after a crash can go.
    fn noted(&self);
}

/// A job of an earlier process.
#[derive(Debug)]
#[non_exhaustive]
pub struct Interrupted {
    /// What it did.
    pub operation: Operation,
    /// Its id.
    pub id: String,
    /// What undoes it.
    pub run: Arc<dyn Run>,
}

impl Interrupted {
    /// A job that was interrupted.
    pub fn new(operation: Operation, id: impl Into<String>, run: Arc<dyn Run>) -> Self {
        Self { operation, id: id.into(), run }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The stage it is in; `None` before the first and after the last.
    pub stage: Option<Stage>,
    /// What the scripts printed so far.
    pub logs: Logs,
}

impl Progress {
    /// A job in this stage.
    pub fn new(stage: Option<Stage>, logs: Logs) -> Self {
        Self { stage, logs }
    }
}

/// What the scripts of a job printed, by stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Logs(pub BTreeMap<Stage, StageLog>);

/// What one script printed, bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageLog {
    /// To standard output.
    pub out: String,
    /// To standard error.
    pub err: String,
}

/// How a job ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ending {
    /// What failed, in the order of the stages; empty when all went well.
    pub failures: Vec<Failure>,
    /// The file that a backup made, as far as it got that far.
    pub file: Option<BackupFile>,
    /// Bytes that went to or came from the destination.
    pub moved: u64,
}

impl Ending {
    /// A good end.
    pub fn good(file: Option<BackupFile>) -> Self {
        Self { failures: Vec::new(), file, moved: 0 }
    }

    /// A bad one.
    pub fn failed(failures: Vec<Failure>, file: Option<BackupFile>) -> Self {
        Self { failures, file, moved: 0 }
    }

    /// Sets [`Ending::moved`].
    #[must_use]
    pub fn moved(mut self, bytes: u64) -> Self {
        self.moved = bytes;
        self
    }
}

/// The file that a backup made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupFile {
    /// Its name, without the prefix of the destination.
    pub name: String,
    /// Its size in bytes; 0 when the scripts moved it by themselves.
    pub size: u64,
    /// The SHA-256 of its bytes, hexadecimal, when they went through the agent.
    pub sha256: Option<String>,
}

impl BackupFile {
    /// A file.
    pub fn new(name: impl Into<String>, size: u64) -> Self {
        Self { name: name.into(), size, sha256: None }
    }

    /// Sets the digest.
    #[must_use]
    pub fn sha256(mut self, digest: impl Into<String>) -> Self {
        self.sha256 = Some(digest.into());
        self
    }
}

/// A stage that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Which.
    pub stage: Stage,
    /// Why.
    pub cause: Cause,
}

impl Failure {
    /// A stage that failed for this reason.
    pub fn new(stage: Stage, cause: Cause) -> Self {
        Self { stage, cause }
    }
}

/// Why a stage failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// There is no script for it.
    NoScript,
    /// Its script ended with this code.
    Exit(i32),
    /// Its script failed otherwise: killed, too slow.
    Script(String),
    /// The way to or from the destination.
    Transfer(String),
    /// Anything else.
    Other(String),
}
