//! What the stages printed, for a manifest and a report.

use backup_core::{Effect, Error, RestoreReport, Summary};

use super::stage::Stage;
use super::watch::{StageOutcome, StageReport, Watch};

/// The most that one stage's stream adds. A manifest is no place for more.
const PART: usize = 64 << 10;

/// Adds the logs of the stages to a summary.
pub(super) fn logged(mut summary: Summary, stages: &[StageReport]) -> Summary {
    summary.log = text(stages);
    summary
}

/// Adds the logs of the stages to a report.
pub(super) fn reported(report: RestoreReport, stages: &[StageReport]) -> RestoreReport {
    match text(stages) {
        Some(log) => report.details(serde_json::json!({ "log": log })),
        None => report,
    }
}

/// Whether a failed restore may have happened: not before its program ran, and surely once that ended well.
pub(super) fn with_effect(error: Error, watch: &Watch) -> Error {
    match watch.outcome(Stage::Restore) {
        None | Some(StageOutcome::NotRun) => error,
        Some(StageOutcome::Exit(0)) => error.with_effect(Effect::Applied),
        Some(_) => error.with_effect(Effect::Unknown),
    }
}

/// One after the other; with headings when there are several.
fn text(stages: &[StageReport]) -> Option<String> {
    let mut text = String::new();
    for report in stages {
        let printed: String = [&report.stdout, &report.stderr].into_iter().flatten().map(|log| bounded(log)).collect();
        if printed.is_empty() {
            continue;
        }
        if stages.len() > 1 {
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("== {}\n", report.stage));
        }
        text.push_str(&printed);
    }
    (!text.is_empty()).then_some(text)
}

fn bounded(log: &str) -> String {
    // The note of what was cut out and replaced bytes make a log a little longer than its limits.
    let Some(over) = log.len().checked_sub(PART + 1024) else { return log.to_owned() };
    let from = (over..=log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(0);
    format!("[{from} bytes cut out]\n{}", log.get(from..).unwrap_or_default())
}
