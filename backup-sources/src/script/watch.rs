//! What can be seen of a job's stages while it runs and after.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::stage::Stage;
use crate::process::Logs;

/// How a stage stands or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "value")]
#[non_exhaustive]
pub enum StageOutcome {
    /// It runs.
    Running,
    /// Its program ended by itself, with this exit code; 0 is success.
    Exit(i32),
    /// Its program was killed by this signal, and not by this program.
    Signal(i32),
    /// It ran longer than its time limit, or than the deadline of the job, and was killed.
    TimedOut,
    /// The job was cancelled, and it was killed.
    Cancelled,
    /// Nothing was run: no script was found, or it could not be started.
    NotRun,
    /// What came of its program was refused (its file, the store's answer), and it was killed unless it had ended.
    Failed,
    /// This program died while it ran. Only after [`recover`](super::recover).
    Interrupted,
}

/// A stage that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageReport {
    /// Which.
    pub stage: Stage,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When its program ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// How it stands.
    pub outcome: StageOutcome,
    /// What its program printed to standard output, bounded, without secrets.
    pub stdout: Option<String>,
    /// The same of standard error.
    pub stderr: Option<String>,
}

/// A window onto the stages of one job, for whoever wants to look in while it runs. Cheap to clone.
///
/// Logs can be read at any time; each byte was on disk before it is shown, when the job keeps a record.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    current: Option<Stage>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    stage: Stage,
    started_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    outcome: StageOutcome,
    logs: Option<Logs>,
}

impl Watch {
    /// A window onto a job that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// The stage the job is in; `None` before the first and after the last.
    pub fn current(&self) -> Option<Stage> {
        self.lock().current
    }

    /// The stages that were reached, in order, with their logs so far.
    pub fn stages(&self) -> Vec<StageReport> {
        let seen = self.lock();
        let report = |entry: &Entry| StageReport {
            stage: entry.stage,
            started_at: entry.started_at,
            ended_at: entry.ended_at,
            outcome: entry.outcome,
            stdout: entry.logs.as_ref().and_then(|logs| logs.out.text()),
            stderr: entry.logs.as_ref().and_then(|logs| logs.err.text()),
        };
        seen.entries.iter().map(report).collect()
    }

    /// How a stage stands; `None` when it was not reached.
    pub fn outcome(&self, stage: Stage) -> Option<StageOutcome> {
        self.lock().entries.iter().rfind(|entry| entry.stage == stage).map(|entry| entry.outcome)
    }

    /// Forgets the job of before.
    pub(super) fn reset(&self) {
        *self.lock() = Seen::default();
    }

    pub(super) fn enter(&self, stage: Option<Stage>) {
        self.lock().current = stage;
    }

    pub(super) fn begin(&self, stage: Stage, now: DateTime<Utc>, logs: Option<Logs>) {
        let mut seen = self.lock();
        // Once more after a crash: the log of before goes on.
        seen.entries.retain(|entry| entry.stage != stage);
        seen.entries.push(Entry { stage, started_at: now, ended_at: None, outcome: StageOutcome::Running, logs });
    }

    pub(super) fn end(&self, stage: Stage, now: DateTime<Utc>, outcome: StageOutcome) {
        let mut seen = self.lock();
        if let Some(entry) = seen.entries.iter_mut().rfind(|entry| entry.stage == stage) {
            entry.outcome = outcome;
            entry.ended_at = Some(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
