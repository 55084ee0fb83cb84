//! The record of a job, as it is kept in the state and shown to clients.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Effect, Error, ErrorKind, Retry};
use crate::name::{BackupId, JobId, SetName};

/// One job: what it is, how far it is, how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobRecord {
    /// The job's id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// The set it works on.
    pub set: SetName,
    /// Who asked for it.
    pub trigger: Trigger,
    /// Where it is.
    pub state: JobState,
    /// When it was asked for.
    pub submitted_at: DateTime<Utc>,
    /// When it got its place among the running ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// What it is doing right now, as [`Phase`](crate::event::Phase) says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// What a program that the source drives is doing, as it says it, with its percentage: `Full Backup 17 %`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Bytes moved so far.
    #[serde(default)]
    pub bytes_done: u64,
    /// Bytes expected in all, 0 when nobody knows.
    #[serde(default)]
    pub bytes_expected: u64,
    /// The backup it made, found unchanged, reads or removes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackupId>,
    /// What somebody should read although it went well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// Why retention after the backup did not do its work. The backup is there all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_error: Option<JobError>,
    /// Whatever its submitter wants to find again. Never a secret: it is stored and shown.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub labels: Map<String, Value>,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum JobKind {
    /// Makes a backup.
    Backup,
    /// Brings one back.
    Restore,
    /// Reads one back and checks it.
    Verify,
    /// Removes what retention does not keep.
    Prune,
    /// Removes one backup.
    Delete,
}

impl JobKind {
    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Verify => "verify",
            Self::Prune => "prune",
            Self::Delete => "delete",
        }
    }

    /// Whether it changes the set, so that only one such job of a set runs at a time.
    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Backup | Self::Prune | Self::Delete)
    }
}

/// Who asked for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Trigger {
    /// A call of the service: a person or a program.
    Request,
    /// The schedule of that name.
    Schedule(String),
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum JobState {
    /// It waits for its turn in the set, or for a place among the running ones.
    Queued,
    /// It works.
    Running,
    /// It did what it was asked for.
    Succeeded,
    /// There was nothing to do: the previous backup still says it all.
    Skipped,
    /// It did not; the error says why.
    Failed,
    /// Somebody cancelled it, or the service was stopped.
    Cancelled,
    /// The process ended while it was queued or running. What it left is found by the janitor.
    Interrupted,
}

impl JobState {
    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether it will never change again.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// An [`Error`] as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobError {
    /// Its stable code.
    pub code: String,
    /// The whole text.
    pub message: String,
    /// Whether trying again helps.
    pub retry: bool,
    /// What became of the effect: `none`, `unknown`, `applied`.
    pub effect: String,
}

impl From<&Error> for JobError {
    fn from(error: &Error) -> Self {
        let effect = match error.effect() {
            Effect::None => "none",
            Effect::Unknown => "unknown",
            Effect::Applied => "applied",
        };
        Self {
            code: error.code().name.to_owned(),
            message: error.to_string(),
            retry: error.retry() == Retry::Later,
            effect: effect.to_owned(),
        }
    }
}

impl JobRecord {
    pub(super) fn new(id: JobId, kind: JobKind, set: SetName, now: DateTime<Utc>) -> Self {
        Self {
            id,
            kind,
            set,
            trigger: Trigger::Request,
            state: JobState::Queued,
            submitted_at: now,
            started_at: None,
            ended_at: None,
            phase: None,
            step: None,
            bytes_done: 0,
            bytes_expected: 0,
            backup: None,
            warnings: Vec::new(),
            error: None,
            retention_error: None,
            labels: Map::new(),
        }
    }

    pub(super) fn end(&mut self, state: JobState, now: DateTime<Utc>) {
        (self.state, self.ended_at, self.phase, self.step) = (state, Some(now), None, None);
    }

    pub(super) fn fail(&mut self, error: &Error, now: DateTime<Utc>) {
        let cancelled = error.kind() == ErrorKind::Cancelled;
        self.error = Some(error.into());
        self.end(if cancelled { JobState::Cancelled } else { JobState::Failed }, now);
    }
}
