//! A job that runs its stages: one program after the other, each noted, watched and limited.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes::{JOB_CANCELLED, JOB_DEADLINE};
use backup_core::{Error, JobContext, Result};

use super::plan::Plan;
use super::record::{Entry, Notebook, Record};
use super::stage::Stage;
use super::watch::{StageOutcome, Watch};
use crate::process::{End, Group, Launch, Log, Logs, Secrets, codes};

/// How long the log of a program that ended is waited for when something left behind holds it open.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a stage's program is connected.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pipes {
    /// Its standard input is a pipe from here.
    pub(super) feed: bool,
    /// Its standard output is a pipe to here.
    pub(super) collect: bool,
}

/// A job while it runs.
#[derive(Debug)]
pub(super) struct Job<'a> {
    plan: &'a Plan,
    watch: &'a Watch,
    record: Option<Record>,
    /// How often each stage was begun.
    attempts: BTreeMap<Stage, usize>,
    /// Programs that ended and may have left processes behind: those live as long as the job, for the lock may be one of them.
    left: Vec<Group>,
}

impl<'a> Job<'a> {
    pub(super) fn new(plan: &'a Plan, watch: &'a Watch, record: Option<Record>, attempts: BTreeMap<Stage, usize>) -> Self {
        Self { plan, watch, record, attempts, left: Vec::new() }
    }

    pub(super) fn plan(&self) -> &'a Plan {
        self.plan
    }

    pub(super) fn notebook(&self) -> Notebook {
        Notebook::of(self.record.as_ref())
    }

    /// Runs a stage to its end.
    ///
    /// # Errors
    /// Those of [`Job::begin`]; `program.failed`, `program.time_limit`, those of `cx`.
    pub(super) async fn stage(&mut self, cx: &JobContext, stage: Stage) -> Result<()> {
        self.watch.enter(Some(stage));
        if !self.plan.programs.contains_key(&stage) {
            return cx.check();
        }
        let mut group = self.begin(cx, stage, Pipes::default()).await?;
        let limited = self.limited(cx);
        let result = match group.end(&limited, PATIENCE.min(self.plan.grace)).await {
            Ok(end) => Ok(end),
            // It may have ended by itself in the same instant; what it says then counts.
            Err(error) => group.ended().ok_or(error),
        };
        let (outcome, result) = match result {
            Ok(End::Code(0)) => (StageOutcome::Exit(0), Ok(())),
            Ok(end) => (outcome(end), Err(group.error(&codes::FAILED, end))),
            Err(error) => {
                group.terminate().await;
                self.stopped(cx, error, &group)
            }
        };
        self.finish(cx, stage, outcome, group).await;
        result
    }

    /// Runs cleanup or unlock: neither a cancel nor a deadline of the job reaches it at once; it may go on for the cleanup limit.
    pub(super) async fn undo(&mut self, cx: &JobContext, stage: Stage) -> Result<()> {
        let shielded = cx.for_cleanup(Duration::MAX);
        let limit = self.plan.cleanup_limit;
        let clock = Arc::clone(cx.clock());
        let late = async {
            let _ = cx.run(pending::<Result<()>>()).await;
            clock.sleep(limit).await;
            shielded.cancel_token().cancel();
            pending().await
        };
        let result: Result<()> = tokio::select! {
            result = self.stage(&shielded, stage) => result,
            () = late => Ok(()),
        };
        result.map_err(|error| match error.code().name == JOB_CANCELLED.name {
            true => {
                Error::new(&codes::TIME_LIMIT, format!("ran for longer than {limit:?} after the end of the job and was killed"))
            }
            false => error,
        })
    }

    /// Starts the program of a stage, which has one, and notes that.
    ///
    /// # Errors
    /// `script.missing`, `program.not_started`, `script.record`, those of `cx`. Then nothing has begun.
    pub(super) async fn begin(&mut self, cx: &JobContext, stage: Stage, pipes: Pipes) -> Result<Group> {
        let logs = self.logs(stage);
        self.watch.enter(Some(stage));
        self.watch.begin(stage, cx.clock().now(), Some(logs.clone()));
        let begun = self.start(cx, stage, pipes, logs).await;
        if begun.is_err() {
            self.close(cx, stage, StageOutcome::NotRun).await;
        }
        begun
    }

    async fn start(&mut self, cx: &JobContext, stage: Stage, pipes: Pipes, logs: Logs) -> Result<Group> {
        cx.check()?;
        let program = self.plan.programs.get(&stage);
        let argv = program.map_or_else(|| Ok(Vec::new()), |program| program.argv(stage))?;
        self.note(stage, &Entry::Starting { stage, at: cx.clock().now() }).await?;
        // A fed program must not take the death of this process for the end of its input: behind the gate it does not.
        let gated = self.record.is_some() || pipes.feed;
        let mut group = Group::start(
            cx,
            &Launch {
                argv: &argv,
                environment: &self.plan.environment_of(stage),
                directory: self.plan.working_directory.as_deref(),
                feed: pipes.feed,
                collect: pipes.collect,
                gated,
                grace: self.plan.grace,
                logs,
            },
        )?;
        if self.record.is_some() {
            // Without /proc nobody can find it again, and the lock is given back all the same.
            let id = group.id().inspect_err(|error| tracing::warn!(%stage, %error, "the process group of a stage is not known"));
            self.note(stage, &Entry::Started { stage, group: id.ok() }).await?;
        }
        group.release().await;
        Ok(group)
    }

    /// Ends a stage whose program ended or was killed.
    pub(super) async fn finish(&mut self, cx: &JobContext, stage: Stage, outcome: StageOutcome, group: Group) {
        self.left.push(group);
        self.close(cx, stage, outcome).await;
    }

    async fn close(&mut self, cx: &JobContext, stage: Stage, outcome: StageOutcome) {
        let at = cx.clock().now();
        if let Some(record) = &self.record
            && let Err(error) = record.note(&Entry::Ended { stage, at, outcome }).await
        {
            // The job goes on: what matters is that the lock is given back, and after a crash it is given back once more.
            tracing::warn!(%stage, %error, "the end of a stage was not noted");
        }
        self.watch.end(stage, at, outcome);
    }

    /// A stage that cannot be noted does not begin, unless it undoes what others did.
    async fn note(&self, stage: Stage, entry: &Entry) -> Result<()> {
        let Some(record) = &self.record else { return Ok(()) };
        match record.note(entry).await {
            Err(error) if stage.undoes() => {
                tracing::warn!(%stage, %error, "a stage was not noted");
                Ok(())
            }
            noted => noted,
        }
    }

    /// The context of one stage.
    pub(super) fn limited(&self, cx: &JobContext) -> JobContext {
        self.plan.time_limit.map_or_else(|| cx.clone(), |limit| cx.with_limit(limit))
    }

    /// What the end of a stopped program means: a deadline that is not the job's own is the time limit.
    pub(super) fn stopped(&self, cx: &JobContext, error: Error, group: &Group) -> (StageOutcome, Result<()>) {
        let name = error.code().name;
        match self.plan.time_limit {
            Some(limit) if name == JOB_DEADLINE.name && cx.check().is_ok() => {
                let what = format!("ran longer than its time limit of {limit:?} and was stopped");
                (StageOutcome::TimedOut, Err(group.error(&codes::TIME_LIMIT, what)))
            }
            _ if name == JOB_DEADLINE.name => (StageOutcome::TimedOut, Err(error)),
            _ if name == JOB_CANCELLED.name => (StageOutcome::Cancelled, Err(error)),
            _ => (StageOutcome::Failed, Err(error)),
        }
    }

    fn logs(&mut self, stage: Stage) -> Logs {
        let attempt = self.attempts.entry(stage).or_default();
        let secrets = Secrets::new(&self.plan.secrets);
        let log = |stream| {
            let log = Log::new(secrets.clone(), self.plan.log);
            match &self.record {
                Some(record) => log.spooled(record.log(stage, *attempt, stream)),
                None => log,
            }
        };
        let logs = Logs { out: log("out"), err: log("err") };
        *attempt += 1;
        logs
    }

    /// Ends the job: whatever its programs left behind is killed.
    pub(super) async fn end(mut self) -> Option<Record> {
        for group in &mut self.left {
            group.kill().await;
        }
        self.watch.enter(None);
        self.record
    }
}

pub(super) fn outcome(end: End) -> StageOutcome {
    match end {
        End::Code(code) => StageOutcome::Exit(code),
        End::Signal(signal) => StageOutcome::Signal(signal),
        End::Unknown => StageOutcome::Failed,
    }
}
