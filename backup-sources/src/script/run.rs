//! The order of the stages: which runs after which, and after which failure.

use backup_core::{Error, JobContext, Result, async_trait};

use super::job::{Job, Pipes, outcome};
use super::plan::Plan;
use super::record::{Notebook, Record};
use super::stage::{Role, Stage};
use super::watch::{StageOutcome, Watch};
use crate::process::{End, Group, codes};

/// What a job does between its check and its cleanup.
#[async_trait]
pub trait Work: Send {
    /// Runs the main stage and moves the data, in the order that fits: [`Main::script`] and then the file it left, or the file to
    /// bring back and then [`Main::script`]. An error fails the job; cleanup and unlock run all the same.
    async fn work(&mut self, cx: &JobContext, main: &mut Main<'_, '_>) -> Result<()>;
}

/// The main stage of a job: `backup` or `restore`.
#[derive(Debug)]
pub struct Main<'a, 'b> {
    pub(super) job: &'b mut Job<'a>,
    pub(super) stage: Stage,
}

impl Main<'_, '_> {
    /// Runs the program of the stage to its end, if there is one.
    ///
    /// # Errors
    /// `script.missing`, `program.not_started`, `program.failed`, `program.time_limit`, `script.record`, those of `cx`.
    pub async fn script(&mut self, cx: &JobContext) -> Result<()> {
        self.job.stage(cx, self.stage).await
    }

    /// Where the work notes what has to be found again after a crash.
    pub fn notebook(&self) -> Notebook {
        self.job.notebook()
    }

    /// Starts the program of the stage with pipes, for a caller that moves the data itself and ends it with [`Main::end`].
    pub(super) async fn begin(&mut self, cx: &JobContext, pipes: Pipes) -> Result<Group> {
        self.job.begin(cx, self.stage, pipes).await
    }

    /// Ends the stage. `moved` is what became of the data: with an error the program was stopped already, and how it ended does not
    /// matter; otherwise its end is awaited and has to be a good one.
    pub(super) async fn end(&mut self, cx: &JobContext, mut group: Group, moved: Result<()>) -> Result<()> {
        let limited = self.job.limited(cx);
        let ended = match moved {
            Ok(()) => match group.end(&limited, self.job.plan().grace).await {
                Ok(end) => Ok(end),
                Err(error) => {
                    group.terminate().await;
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        let (outcome, result) = match ended {
            Ok(End::Code(0)) => (StageOutcome::Exit(0), Ok(())),
            Ok(end) => (outcome(end), Err(group.error(&codes::FAILED, end))),
            Err(error) => self.job.stopped(cx, error, &group),
        };
        self.job.finish(cx, self.stage, outcome, group).await;
        result
    }

    /// The context of the stage, with its time limit.
    pub(super) fn limited(&self, cx: &JobContext) -> JobContext {
        self.job.limited(cx)
    }
}

/// A stage that failed, and why.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The stage. Its work counts as the main stage, script or not.
    pub stage: Stage,
    /// What went wrong.
    pub error: Error,
}

/// How a job ended. Its record stays on disk until [`Ended::finish`], so that a crash before its end is noted elsewhere loses nothing.
#[derive(Debug)]
#[must_use]
pub struct Ended {
    failures: Vec<Failure>,
    record: Option<Record>,
}

impl Ended {
    /// What failed, in the order of the stages; empty when all went well.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Removes the job's record.
    ///
    /// # Errors
    /// The first failure, the others added to its text. `script.record` when only the record could not be removed.
    pub fn finish(self) -> Result<()> {
        let removed = self.record.map_or(Ok(()), Record::remove);
        let mut failures = self.failures.into_iter();
        let Some(first) = failures.next() else { return removed };
        if let Err(error) = removed {
            tracing::warn!(%error, "the record of a job stays behind");
        }
        let first_error = first.error.context(format!("stage {}", first.stage));
        Err(failures.fold(first_error, |error, other| error.context(format!("{} failed as well ({})", other.stage, other.error))))
    }
}

/// Runs the stages of `plan` around `work`.
///
/// # Behavior
/// Lock, check, main stage with `work`, cleanup, unlock. The first failure of the first three passes over the rest of them. Cleanup and
/// unlock run whenever the lock stage exited with 0, was killed or timed out, whatever failed afterwards, each whether or not the other
/// failed; they do not run when the lock stage exited with another code, was not started, or was never reached. Without a program for
/// the lock stage there is nothing to take, and they run. When `run` returns, nothing that a stage started in its process group lives.
///
/// # Cancel safety
/// Cancelled through `cx` only: the running stage's process group is ended, then cleanup and unlock run, each for at most the cleanup
/// limit. Dropped, it kills the processes and leaves the lock; its record stays for [`recover`](super::recover).
pub async fn run(plan: &Plan, cx: &JobContext, watch: &Watch, work: &mut dyn Work) -> Ended {
    watch.reset();
    let refused = |error| {
        let stage = Stage::of(plan.operation).first().copied().unwrap_or(Stage::PreBackupLock);
        Ended { failures: vec![Failure { stage, error }], record: None }
    };
    let begin = || {
        plan.check()?;
        cx.check()?;
        plan.state_directory.as_deref().map(|state| Record::create(state, plan)).transpose()
    };
    let record = match begin() {
        Ok(record) => record,
        Err(error) => return refused(error),
    };
    let mut job = Job::new(plan, watch, record, std::collections::BTreeMap::new());
    let failures = stages(&mut job, cx, watch, work).await;
    Ended { failures, record: job.end().await }
}

async fn stages(job: &mut Job<'_>, cx: &JobContext, watch: &Watch, work: &mut dyn Work) -> Vec<Failure> {
    let mut failures: Vec<Failure> = Vec::new();
    let mut locked = true;
    for &stage in Stage::of(job.plan().operation) {
        let result = match stage.role() {
            Role::Lock => {
                let result = job.stage(cx, stage).await;
                locked = result.is_ok() || watch.outcome(stage).is_some_and(may_be_locked);
                result
            }
            Role::Check if failures.is_empty() => job.stage(cx, stage).await,
            Role::Main if failures.is_empty() => {
                watch.enter(Some(stage));
                match cx.check() {
                    Ok(()) => work.work(cx, &mut Main { job, stage }).await,
                    ended => ended,
                }
            }
            Role::Cleanup | Role::Unlock if locked => job.undo(cx, stage).await,
            _ => Ok(()),
        };
        if let Err(error) = result {
            failures.push(Failure { stage, error });
        }
    }
    failures
}

/// Whether a lock stage that ended like this may hold its lock. One that exits with an error has not locked: the lock may be another
/// job's.
pub(super) fn may_be_locked(outcome: StageOutcome) -> bool {
    match outcome {
        StageOutcome::Exit(code) => code == 0,
        StageOutcome::NotRun => false,
        _ => true,
    }
}
