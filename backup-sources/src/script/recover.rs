//! What an interrupted job left behind: found at the next start, and undone.

use std::collections::BTreeMap;
use std::path::Path;

use backup_core::{Error, JobContext, Result, Secret};

use super::codes;
use super::job::Job;
use super::plan::{Plan, check_id};
use super::record::{Entry, Head, Record, Taken};
use super::run::{Failure, may_be_locked};
use super::stage::{Operation, Stage};
use super::watch::{StageOutcome, StageReport, Watch};
use crate::process::{GroupId, Log, LogLimits, Logs};

/// A job whose process died. Held exclusively: no other process recovers it meanwhile.
#[derive(Debug)]
pub struct Interrupted {
    plan: Plan,
    watch: Watch,
    record: Option<Record>,
    attempts: BTreeMap<Stage, usize>,
    groups: Vec<GroupId>,
    undo: Vec<Stage>,
    notes: Vec<Secret>,
}

/// The jobs in a state directory that were interrupted. Those that still run are passed over; records that cannot be read are logged
/// and stay.
///
/// # Errors
/// `script.record` when the directory cannot be read. One that does not exist holds no job.
pub fn interrupted(state_directory: &Path) -> Result<Vec<Interrupted>> {
    let failed = |error: std::io::Error| {
        Error::new(&codes::RECORD, format!("the state directory {} cannot be read", state_directory.display())).with_source(error)
    };
    let entries = match std::fs::read_dir(state_directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut jobs = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(id) = name.to_str().filter(|id| check_id(id).is_ok()) else { continue };
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        match Record::take_over(&entry.path()) {
            Ok(Some(taken)) if !taken.understood() => {
                tracing::error!(job = id, "the record of an interrupted job cannot be understood and is left as it is");
            }
            Ok(Some(taken)) => jobs.push(Interrupted::read(id, taken)),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "an interrupted job cannot be recovered"),
        }
    }
    jobs.sort_by(|a, b| a.plan.id.cmp(&b.plan.id));
    Ok(jobs)
}

/// Recovers every interrupted job of a state directory: ends what they left running, runs cleanup and unlock where the lock may be held
/// (each for at most its cleanup limit), and removes their records. To be called at start, before new jobs.
///
/// # Errors
/// Those of [`interrupted`]. What goes wrong with a job stands in its [`Recovered`].
pub async fn recover(cx: &JobContext, state_directory: &Path) -> Result<Vec<Recovered>> {
    let mut recovered = Vec::new();
    for mut job in interrupted(state_directory)? {
        let mut failures = job.undo(cx).await;
        let (id, operation, stages) = (job.id().to_owned(), job.operation(), job.stages());
        let stage = stages.last().map_or(Stage::PreBackupLock, |report| report.stage);
        failures.extend(job.forget().err().map(|error| Failure { stage, error }));
        recovered.push(Recovered { id, operation, stages, failures });
    }
    Ok(recovered)
}

/// A job that was recovered.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recovered {
    /// Its name.
    pub id: String,
    /// What it did.
    pub operation: Operation,
    /// The stages it reached, with their logs so far, and those that were run now.
    pub stages: Vec<StageReport>,
    /// What failed in undoing it.
    pub failures: Vec<Failure>,
}

impl Interrupted {
    fn read(id: &str, Taken { record, head, entries }: Taken) -> Self {
        let locks = head.as_ref().is_some_and(Head::locks);
        // Without a head nothing had begun.
        let plan = head.map_or_else(|| Plan::new(id, Operation::Backup), Head::plan);
        let mut job = Self {
            watch: Watch::new(),
            record: None,
            attempts: BTreeMap::new(),
            groups: Vec::new(),
            undo: Vec::new(),
            notes: Vec::new(),
            plan,
        };
        let mut began = BTreeMap::new();
        for entry in entries {
            match entry {
                Entry::Starting { stage, at } => {
                    let attempt = job.attempts.entry(stage).or_default();
                    job.watch.begin(stage, at, logs(&record, stage, *attempt, job.plan.log));
                    job.watch.end(stage, at, StageOutcome::NotRun);
                    *attempt += 1;
                    began.insert(stage, at);
                }
                Entry::Started { stage, group } => {
                    job.groups.extend(group);
                    let at = began.get(&stage).copied().unwrap_or_default();
                    job.watch.end(stage, at, StageOutcome::Interrupted);
                }
                Entry::Note { note } => job.notes.push(note.into_secret()),
                Entry::Ended { stage, at, outcome } => job.watch.end(stage, at, outcome),
            }
        }
        let stages = Stage::of(job.plan.operation);
        let outcome = |stage: &Stage| job.watch.outcome(*stage);
        let lock = stages.iter().find(|stage| stage.locks()).and_then(outcome);
        let locked = if locks { lock.is_some_and(may_be_locked) } else { !job.attempts.is_empty() };
        // What ended was run; what was interrupted is run again.
        let ended = |stage: &Stage| !matches!(outcome(stage), None | Some(StageOutcome::Interrupted | StageOutcome::NotRun));
        job.undo = stages.iter().filter(|stage| locked && stage.undoes() && !ended(stage)).copied().collect();
        job.record = Some(record);
        job
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.plan.id
    }

    /// What it did.
    pub fn operation(&self) -> Operation {
        self.plan.operation
    }

    /// The stages it reached, with their logs so far.
    pub fn stages(&self) -> Vec<StageReport> {
        self.watch.stages()
    }

    /// What its work noted, in that order.
    pub fn notes(&self) -> &[Secret] {
        &self.notes
    }

    /// A window onto it, for looking in while [`Interrupted::undo`] runs.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Ends what it left running, then runs its cleanup and its unlock where the lock may be held, each for at most the cleanup limit.
    /// Run a second time, it does only what was left.
    pub async fn undo(&mut self, cx: &JobContext) -> Vec<Failure> {
        for group in std::mem::take(&mut self.groups) {
            group.end(cx, self.plan.grace).await;
        }
        let mut job = Job::new(&self.plan, &self.watch, self.record.take(), std::mem::take(&mut self.attempts));
        let mut failures = Vec::new();
        for stage in std::mem::take(&mut self.undo) {
            if let Err(error) = job.undo(cx, stage).await {
                failures.push(Failure { stage, error });
            }
        }
        self.record = job.end().await;
        failures
    }

    /// Removes its record, once what has to be kept of it is kept elsewhere.
    ///
    /// # Errors
    /// `script.record`.
    pub fn forget(self) -> Result<()> {
        self.record.map_or(Ok(()), Record::remove)
    }
}

fn logs(record: &Record, stage: Stage, attempt: usize, limits: LogLimits) -> Option<Logs> {
    let log = |stream| Log::of_spool(&record.log(stage, attempt, stream), limits);
    match (log("out"), log("err")) {
        (Ok(out), Ok(err)) => Some(Logs { out, err }),
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%stage, %error, "the log of an interrupted stage cannot be read");
            None
        }
    }
}
