//! What the reader sees: a line a step, with a moving bar while it runs when somebody is watching.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use backup_core::context::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::text;

/// Columns of a step's name; what it says stands to the right of it.
const NAME: usize = 10;
/// Columns of what it says, when it is long.
const TEXT: usize = 80;
/// How often the bar moves.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// How often a step that takes its time says so where nobody sees a bar.
const PLAIN: Duration = Duration::from_secs(10);

/// Writes to standard output.
#[derive(Debug)]
pub(super) struct Ui {
    terminal: bool,
    colour: bool,
}

/// A step that is under way.
#[derive(Debug)]
#[must_use]
pub(super) struct Step {
    name: &'static str,
    colour: bool,
    started: Instant,
    spoke: Instant,
    bar: Option<ProgressBar>,
}

impl Ui {
    pub(super) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { terminal, colour: terminal && std::env::var_os("NO_COLOR").is_none() }
    }

    /// A line of its own.
    pub(super) fn line(&self, line: &str) {
        say(line);
    }

    /// What somebody should know about the step before.
    pub(super) fn warnings(&self, warnings: &[String]) {
        for warning in warnings {
            self.note(&format!("warning: {warning}"));
        }
    }

    /// Text below what the step before said.
    pub(super) fn note(&self, note: &str) {
        text::wrap(note, TEXT).iter().for_each(|line| say(&format!("{}{line}", " ".repeat(NAME + 5))));
    }

    /// Begins a step.
    pub(super) fn step(&self, name: &'static str) -> Step {
        let bar = self.terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            bar.set_prefix(name);
            bar.enable_steady_tick(TICK);
            bar
        });
        let step = Step { name, colour: self.colour, started: Instant::now(), spoke: Instant::now(), bar };
        step.style("{spinner:.cyan} {prefix:NAME} {msg:.dim}");
        step
    }
}

impl Step {
    /// How far it is: bytes of a job.
    pub(super) fn progress(&mut self, progress: &Progress) {
        let (done, expected) = (progress.done(), progress.expected());
        match &self.bar {
            Some(bar) if done == 0 => bar.set_message("…"),
            Some(bar) => {
                if bar.position() == 0 {
                    let shape = if expected > 0 { "{bar:28.cyan/dim} {percent:>3} %  " } else { "" };
                    self.style(&format!("{{spinner:.cyan}} {{prefix:NAME}} {shape}{{decimal_bytes}}  {{decimal_bytes_per_sec}}"));
                }
                bar.set_length(expected.max(done));
                bar.set_position(done);
            }
            None if self.spoke.elapsed() >= PLAIN => {
                self.spoke = Instant::now();
                let of = if expected > 0 { format!(" of {}", text::size(expected.max(done))) } else { String::new() };
                say(&format!("  … {:NAME$} {}{of}", self.name, text::size(done)));
            }
            None => {}
        }
    }

    /// Ends it well.
    pub(super) fn done(self, result: &str) {
        let took = self.started.elapsed();
        let took = if took >= Duration::from_millis(50) { format!(", {}", text::time(took)) } else { String::new() };
        self.end("✓", "32", &format!("{result}{took}"));
    }

    /// Ends it well with a result that takes several lines.
    #[cfg(feature = "demo-etcd")]
    pub(super) fn done_lines(self, lines: &[String]) {
        let indent = format!("\n{}", " ".repeat(NAME + 5));
        self.end("✓", "32", &lines.join(&indent));
    }

    /// Ends it badly; why is told at the end of the program.
    pub(super) fn failed(self) {
        self.end("✗", "31", "failed");
    }

    fn end(self, mark: &str, colour: &str, result: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let mark = if self.colour { format!("\x1b[{colour}m{mark}\x1b[0m") } else { mark.to_owned() };
        say(&format!("  {mark} {:NAME$} {result}", self.name));
    }

    fn style(&self, template: &str) {
        let template = format!("  {}", template.replace("NAME", &NAME.to_string()));
        if let Some(bar) = &self.bar
            && let Ok(style) = ProgressStyle::with_template(&template)
        {
            bar.set_style(style.progress_chars("━━─"));
        }
    }
}

/// A reader that went away (`| head`) is no reason to leave servers running: unlike `println!` this does not panic.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
