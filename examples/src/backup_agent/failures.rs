//! From the words of the script source to those of the dialect.

use backup_core::Error;
use backup_http::backup_agent::{Cause, Failure, Logs, Operation, Progress, Stage, StageLog};
use backup_sources::script::{self, StageOutcome, Watch};

/// The stage of the same name.
pub(super) fn stage(stage: script::Stage) -> Option<Stage> {
    Stage::named(stage.name())
}

pub(super) fn operation(operation: Operation) -> script::Operation {
    match operation {
        Operation::Backup => script::Operation::Backup,
        Operation::Restore => script::Operation::Restore,
    }
}

/// Where a job stands, with what its scripts printed.
pub(super) fn progress(watch: &Watch) -> Progress {
    let reports = watch.stages().into_iter().filter_map(|report| {
        let log = StageLog { out: report.stdout.unwrap_or_default(), err: report.stderr.unwrap_or_default() };
        Some((stage(report.stage)?, log))
    });
    Progress::new(watch.current().and_then(stage), Logs(reports.collect()))
}

/// The failures of a job. `main` is why its main stage failed, when that was not its script.
pub(super) fn all(failures: &[script::Failure], watch: &Watch, main: Option<Cause>) -> Vec<Failure> {
    let mut main = main;
    let mut cause = |failure: &script::Failure| {
        let of_main = matches!(failure.stage, script::Stage::Backup | script::Stage::Restore);
        match main.take_if(|_| of_main) {
            Some(cause) => cause,
            None => of_script(&failure.error, watch.outcome(failure.stage)),
        }
    };
    failures.iter().filter_map(|failure| Some(Failure::new(stage(failure.stage)?, cause(failure)))).collect()
}

fn of_script(error: &Error, outcome: Option<StageOutcome>) -> Cause {
    if error.code().name == script::codes::MISSING.name {
        return Cause::NoScript;
    }
    match outcome {
        Some(StageOutcome::Exit(code)) if code != 0 => Cause::Exit(code),
        Some(StageOutcome::Signal(signal)) => Cause::Script(format!("killed by signal {signal}")),
        Some(StageOutcome::TimedOut | StageOutcome::Cancelled | StageOutcome::NotRun) => {
            Cause::Script(error.message().to_owned())
        }
        _ => Cause::Other(error.message().to_owned()),
    }
}
