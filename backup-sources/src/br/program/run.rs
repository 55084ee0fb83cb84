//! One run of `br`: checked, noted, started, listened to, ended.

use std::collections::BTreeMap;
use std::time::Duration;

use backup_core::{Effect, Error, JobContext, JobId, Result, Secret};

use super::arguments::{self, Action, Invocation};
use super::notes::Note;
use super::output::Output;
use super::{ProgramExecutor, version};
use crate::br::config::Encryption;
use crate::br::executor::{Done, Order};
use crate::br::{Tso, codes, failure};
use crate::process::{End, Group, Launch, Listener, Log, LogLimits, Logs, Secrets};

/// How long `br --version` may take.
const VERSION_LIMIT: Duration = Duration::from_secs(30);
/// How much of a line is looked at: an error may repeat itself with its stack.
const LINE: usize = 16 << 10;
/// `SIGHUP`, `SIGINT`, `SIGQUIT`, `SIGKILL`, `SIGTERM`: somebody wanted it to end.
const ENDING: [i32; 5] = [1, 2, 3, 9, 15];

pub(super) async fn run(executor: &ProgramExecutor, cx: &JobContext, action: Action, order: &Order) -> Result<Done> {
    cx.check()?;
    let key = order.encryption.as_ref().map(key).transpose()?;
    // What is wrong with the order is said before anything is started.
    arguments::of(&executor.config, action, order, None)?;
    let warnings = check_version(executor, cx).await?;
    let id = JobId::random(&*cx.environment().random);
    let note = Note::begin(&executor.config.notes, &id, &order.location.url, key).await?;
    let run = async {
        let made = arguments::of(&executor.config, action, order, Some(&note.key_file()))?;
        noted(executor, cx, action, &made, &note).await
    };
    let outcome = run.await;
    let removed = note.remove().await;
    let mut done = outcome?;
    done.warnings.splice(0..0, warnings);
    if let Err(error) = removed {
        done.warnings.push(error.to_string());
    }
    Ok(done)
}

/// The key as `br` reads it from a file.
fn key(encryption: &Encryption) -> Result<Secret> {
    encryption.check().map(|()| encryption.key.clone())
}

/// Compares the version of `br` with those of the stores. What is unknown is left to `br` itself.
async fn check_version(executor: &ProgramExecutor, cx: &JobContext) -> Result<Vec<String>> {
    let logs = one_log(Log::new(Secrets::default(), LogLimits::default()));
    let argv = arguments::version(&executor.config)?;
    let environment = BTreeMap::new();
    let mut group = Group::start(cx, &launch(executor, &argv, &environment, false, &logs))?;
    let ended = group.finish(&cx.with_limit(VERSION_LIMIT)).await;
    // It does nothing that would have to be ended well.
    group.kill().await;
    if let Err(error) = ended {
        cx.check()?;
        return Err(error);
    }
    let Some(br) = version::printed(&logs.out.text().unwrap_or_default()) else {
        return Ok(vec!["`br --version` did not tell a version; whether it suits the cluster was not checked".to_owned()]);
    };
    version::check(&br, &executor.pd.stores(cx).await?).map_err(|why| Error::new(&codes::VERSION, why))
}

/// Runs the program. When this returns, nothing of it is left.
async fn noted(executor: &ProgramExecutor, cx: &JobContext, action: Action, made: &Invocation, note: &Note) -> Result<Done> {
    let output = Output::default();
    let listener = {
        let output = output.clone();
        Listener::new(move |line| output.hear(line))
    };
    let log = Log::new(Secrets::new(&made.secrets), LogLimits::default().line(LINE)).heard(listener);
    let logs = one_log(log);
    let mut group = Group::start(cx, &launch(executor, &made.argv, &made.environment, true, &logs))?;
    if let Err(error) = note_group(&group, note).await {
        // It has not begun.
        group.kill().await;
        return Err(error);
    }
    group.release().await;
    let ended = {
        let end = group.end(cx, executor.config.grace);
        tokio::pin!(end);
        loop {
            tokio::select! {
                biased;
                ended = &mut end => break ended,
                () = output.changed() => output.steps().into_iter().for_each(|step| cx.event(step)),
            }
        }
    };
    output.steps().into_iter().for_each(|step| cx.event(step));
    match &ended {
        // What it left behind in its group ends, too.
        Ok(_) => group.kill().await,
        Err(_) => group.terminate().await,
    }
    let text = logs.out.text();
    let done = ended.and_then(|end| judge(&group, &output, end, text));
    // What a restore had written when it ended nobody can say.
    done.map_err(|error| if action == Action::Restore { error.with_effect(Effect::Unknown) } else { error })
}

async fn note_group(group: &Group, note: &Note) -> Result<()> {
    let id = group.id().map_err(|error| Error::new(&codes::NOTE, "the process group of `br` is unknown").with_source(error))?;
    note.group(id).await
}

/// What came of a run that ended by itself.
fn judge(group: &Group, output: &Output, end: End, log: Option<String>) -> Result<Done> {
    let summary = output.summary();
    let failed = summary.as_ref().is_some_and(|summary| !summary.success);
    match end {
        End::Code(0) if !failed => {}
        End::Signal(signal) if ENDING.contains(&signal) => return Err(group.error(&codes::ENDED, end)),
        _ => {
            return Err(match output.failure() {
                Some(text) => failure::of(&text).context(format!("`br` {end}")),
                None => group.error(&codes::FAILED, end),
            });
        }
    }
    let mut done = Done { log, ..Done::default() };
    match summary {
        Some(summary) => {
            (done.backup_ts, done.size) = (summary.backup_ts.map(Tso), summary.size);
            done.warnings.extend(summary.result.map(|result| format!("`br` says: {result}")));
        }
        None => done.warnings.push("`br` ended well, but printed no summary of a success".to_owned()),
    }
    Ok(done)
}

fn launch<'a>(
    executor: &'a ProgramExecutor,
    argv: &'a [String],
    environment: &'a BTreeMap<String, Secret>,
    gated: bool,
    logs: &Logs,
) -> Launch<'a> {
    let grace = executor.config.grace;
    Launch { argv, environment, directory: None, feed: false, collect: false, gated, grace, logs: logs.clone() }
}

/// Both streams in one log, in the order in which they came.
fn one_log(log: Log) -> Logs {
    Logs { out: log.clone(), err: log }
}
