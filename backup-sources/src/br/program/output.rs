//! What `br` tells while it runs, read from its log: how far it is, its summary, and why it failed.
//!
//! Whatever it prints, and however much, what is kept here is bounded: the steps that nobody has read yet, one summary, one failure.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_core::event::Event;
use tokio::sync::Notify;

use super::line::Line;

/// Steps that wait to be read; of more, the oldest are dropped.
const STEPS: usize = 64;
/// Bytes of a step's name.
const NAME: usize = 64;
/// Bytes of the text of a failure.
const FAILURE: usize = 8 << 10;

/// What was heard so far. Shared with the task that reads the program's output.
#[derive(Debug, Clone, Default)]
pub(super) struct Output(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Heard>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Heard {
    steps: VecDeque<Step>,
    last: Option<Step>,
    summary: Option<Summary>,
    failure: Option<(Weight, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    name: String,
    percent: Option<u8>,
}

/// How near a text is to the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// A line at level ERROR.
    Error,
    /// The text with which the program ends.
    Last,
    /// The error in its summary.
    Summary,
}

/// The summary at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) success: bool,
    pub(super) backup_ts: Option<u64>,
    /// Exact bytes.
    pub(super) size: Option<u64>,
    /// Its note, where there was nothing to do.
    pub(super) result: Option<String>,
}

impl Output {
    /// Takes the next line, whatever it is.
    pub(super) fn hear(&self, text: &str) {
        let text = text.trim();
        // A look at the bytes is enough for nearly all of what is printed.
        let mut heard = self.lock();
        if let Some(error) = text.strip_prefix("Error: ") {
            heard.failed(Weight::Last, error);
        } else if !text.starts_with('[') {
            if let Some(step) = bar(text) {
                heard.step(step);
                self.0.changed.notify_one();
            }
        } else if ["progress", "ummary", "[ERROR]", "[FATAL]"].iter().any(|mark| text.contains(mark))
            && let Some(line) = Line::parse(text)
        {
            heard.line(&line);
            self.0.changed.notify_one();
        }
    }

    /// Waits until there may be steps to read. Cancel safe.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// The steps since the last call.
    pub(super) fn steps(&self) -> Vec<Event> {
        let steps = std::mem::take(&mut self.lock().steps);
        steps.into_iter().map(|Step { name, percent }| Event::Step { name, percent }).collect()
    }

    pub(super) fn summary(&self) -> Option<Summary> {
        self.lock().summary.clone()
    }

    /// Why it failed, in its own words.
    pub(super) fn failure(&self) -> Option<String> {
        self.lock().failure.as_ref().map(|(_, text)| text.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn line(&mut self, line: &Line<'_>) {
        let message = line.message.to_ascii_lowercase();
        if message == "progress" {
            if let Some(name) = line.field("step") {
                self.step(step(name, line.field("progress")));
            }
            return;
        }
        let success = message.contains("success summary");
        if success || message.contains("failed summary") {
            let number = |name| line.field(name).and_then(|value| value.parse().ok());
            let result = line.field("result").map(str::to_owned);
            self.summary = Some(Summary { success, backup_ts: number("backupts"), size: number("size"), result });
            if !success {
                let error = line.field("error").filter(|error| !error.is_empty());
                self.failed(Weight::Summary, error.unwrap_or(&line.message));
            }
        } else if matches!(&*line.level, "ERROR" | "FATAL") {
            match line.field("error").or_else(|| line.field("err")) {
                Some(error) => self.failed(Weight::Error, &format!("{}: {error}", line.message)),
                None => self.failed(Weight::Error, &line.message),
            }
        }
    }

    fn step(&mut self, step: Step) {
        if self.last.as_ref() == Some(&step) {
            return;
        }
        if self.steps.len() == STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(step.clone());
        self.last = Some(step);
    }

    /// Of texts that are equally near to the cause the last one counts.
    fn failed(&mut self, weight: Weight, text: &str) {
        if self.failure.as_ref().is_none_or(|(known, _)| *known <= weight) {
            self.failure = Some((weight, start(text, FAILURE).to_owned()));
        }
    }
}

/// A drawn bar: `Full Backup <-----/.....> 17.12%`.
fn bar(text: &str) -> Option<Step> {
    let (name, rest) = text.split_once('<')?;
    let (drawn, percent) = rest.rsplit_once('>')?;
    let of_bar = |c: char| matches!(c, '-' | '.' | '/' | '|' | '\\');
    (drawn.chars().all(of_bar) && percent.trim_end().ends_with('%')).then(|| step(name, Some(percent)))
}

fn step(name: &str, percent: Option<&str>) -> Step {
    let name: String = start(name.trim(), NAME).chars().filter(|char| !char.is_control()).collect();
    let percent = percent.and_then(|text| text.trim().trim_end_matches('%').trim().parse::<f64>().ok());
    // It is known to exceed 100; and a conversion of floats stops at the borders.
    Step { name, percent: percent.filter(|percent| percent.is_finite()).map(|percent| percent.clamp(0.0, 100.0) as u8) }
}

/// At most `limit` bytes of the start.
fn start(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str]) -> Output {
        let output = Output::default();
        lines.iter().for_each(|line| output.hear(line));
        output
    }

    fn log(rest: &str) -> String {
        format!("[2023/02/10 05:20:39.147 +00:00] {rest}")
    }

    fn steps(output: &Output) -> Vec<(String, Option<u8>)> {
        let pair = |event| match event {
            Event::Step { name, percent } => (name, percent),
            other => unreachable!("{other:?}"),
        };
        output.steps().into_iter().map(pair).collect()
    }

    #[test]
    fn progress_restarts_jumps_and_exceeds_and_stays_a_percentage() {
        let output = Output::default();
        for percent in ["0.00%", "12.34%", "12.34%", "99.99%", "3%", "250.7%", "-4%", "NaN%", "what"] {
            output.hear(&log(&format!(r#"[INFO] [progress.go:160] [progress] [step="Full Backup"] [progress={percent}]"#)));
        }
        output.hear("Checksum <-----------/..........> 50.00%");
        let full = |percent| ("Full Backup".to_owned(), percent);
        let expected = [full(Some(0)), full(Some(12)), full(Some(99)), full(Some(3)), full(Some(100)), full(Some(0)), full(None)];
        let read = steps(&output);
        assert_eq!(read[..expected.len()], expected);
        assert_eq!(read[expected.len()..], [("Checksum".to_owned(), Some(50))]);
        assert_eq!(steps(&output), []);
    }

    #[test]
    fn what_nobody_reads_does_not_pile_up() {
        let output = Output::default();
        for number in 0..1_000 {
            let name = format!("{number} {}", "x".repeat(1_000));
            output.hear(&log(&format!(r#"[INFO] [p.go:1] [progress] [step="{name}"] [progress=1%]"#)));
            output.hear(&log(&format!(r#"[ERROR] [p.go:1] ["failed {number} {}"]"#, "y".repeat(number * 20))));
        }
        let read = steps(&output);
        assert_eq!(read.len(), STEPS);
        assert!(read.iter().all(|(name, _)| name.len() <= NAME));
        assert!(read[STEPS - 1].0.starts_with("999 "), "{:?}", read[STEPS - 1]);
        assert!(output.failure().unwrap().len() <= FAILURE);
    }

    #[test]
    fn the_summary_is_read_in_its_old_and_its_new_form() {
        let new = log(
            r#"[INFO] [collector.go:69] ["Full Backup success summary"] [total-ranges=22] [ranges-succeed=22] [ranges-failed=0] [total-take=1.416143685s] [BackupTS=439330705621123078] [total-kv=1114] [total-kv-size=269.8kB] [average-speed=190.5kB/s] ["backup-data-size(after-compressed)"=74.35kB] [Size=74346]"#,
        );
        let old = log(
            r#"[INFO] [collector.go:61] ["Full backup Success summary: total backup ranges: 2, total success: 2, total failed: 0, total take(Full backup time): 1.2s, total kv: 5"] ["backup checksum"=3ms] [BackupTS=439330705621123078] ["Size"=74346]"#,
        );
        for text in [new, old] {
            let summary = heard(&[&text]).summary().unwrap();
            let expected = Summary { success: true, backup_ts: Some(439_330_705_621_123_078), size: Some(74_346), result: None };
            assert_eq!(summary, expected, "{text}");
        }
        let failed = log(
            r#"[INFO] [collector.go:60] ["Full Backup failed summary"] [total-ranges=0] [unit-name="range start:7480"] [error="rpc failed: [BR:KV:ErrKVStorage]no space"]"#,
        );
        let output =
            heard(&[&log(r#"[ERROR] [a.go:1] ["later ones do not matter"] [error=x]"#), &failed, "Error: the last word"]);
        assert!(!output.summary().unwrap().success);
        assert_eq!(output.failure().as_deref(), Some("rpc failed: [BR:KV:ErrKVStorage]no space"));
    }

    #[test]
    fn without_a_summary_the_last_word_counts_and_then_the_last_error() {
        let error = log(r#"[ERROR] [main.go:60] ["br failed"] [error="[BR:PD:ErrPDLeaderNotFound]no leader"] [stack=a]"#);
        assert_eq!(heard(&[&error]).failure().as_deref(), Some("br failed: [BR:PD:ErrPDLeaderNotFound]no leader"));
        let output = heard(&["Error: [BR:Common:ErrInvalidArgument]no", &error]);
        assert_eq!(output.failure().as_deref(), Some("[BR:Common:ErrInvalidArgument]no"));
        assert_eq!(heard(&["all is well", "a < b", "summary > 3%"]).failure(), None);
    }
}
