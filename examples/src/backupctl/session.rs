//! What all verbs share: where the backups are, how the answer is printed, the question, the interrupt and the progress bar.

use std::future::Future;
use std::io::{IsTerminal, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backup_core::event::TracingObserver;
use backup_core::{Environment, JobContext};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::arguments::Arguments;
use super::failure::{Class, Failure};
use super::open::Place;
use super::output::Output;
use crate::quickstart::interrupt;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// One run of the program.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) place: Place,
    pub(super) output: Output,
    yes: bool,
    interrupt: CancellationToken,
}

impl Session {
    pub(super) fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let place = Place::of(arguments)?;
        Ok(Self { place, output: Output::new(arguments.json), yes: arguments.yes, interrupt: interrupt::token()? })
    }

    /// A context for a job; an interrupt cancels it.
    pub(super) fn context(&self) -> JobContext {
        JobContext::new(Environment::default(), Arc::new(TracingObserver))
    }

    /// Runs a job to its end, with a bar on a terminal. An interrupt cancels the job and waits for it: it cleans up first.
    pub(super) async fn job<T>(
        &self,
        name: &str,
        cx: &JobContext,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let bar = Bar::new(name);
        let mut work = pin!(work);
        let mut tick = tokio::time::interval(TICK);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                _ = tick.tick() => bar.show(cx),
                () = self.interrupt.cancelled(), if !cx.cancel_token().is_cancelled() => cx.cancel_token().cancel(),
            }
        };
        drop(bar);
        result.map_err(|failure| if self.interrupt.is_cancelled() { Failure::interrupted() } else { failure })
    }

    /// Asks before something is removed. Without a terminal to ask on and without `--yes` nothing is.
    pub(super) async fn confirm(&self, question: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(Failure::new(
                Class::Refused,
                "not confirmed: there is no terminal to ask on; give --yes when it is meant",
            ));
        }
        let _ = write!(std::io::stderr(), "{question} [y/N] ");
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        let answer = tokio::select! {
            answer = answer => answer.map_err(std::io::Error::other)??,
            () = self.interrupt.cancelled() => return Err(Failure::interrupted()),
        };
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new(Class::Refused, "not confirmed; nothing was changed")),
        }
    }
}

/// A bar on standard error, when that is a terminal. Gone when dropped.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(name: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(TICK);
        Self(Some(bar))
    }

    fn show(&self, cx: &JobContext) {
        let Some(bar) = &self.0 else { return };
        let (done, expected) = (cx.progress().done(), cx.progress().expected());
        let template = match expected {
            0 => "{spinner} {prefix}  {decimal_bytes}  {decimal_bytes_per_sec}",
            _ => "{spinner} {prefix}  {bar:28} {percent:>3} %  {decimal_bytes}  {decimal_bytes_per_sec}  {eta}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar.set_length(expected.max(done));
        bar.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
