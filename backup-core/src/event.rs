//! What a job tells while it runs: phases, warnings and its end.

use std::fmt;

use crate::context::JobContext;

/// The phase a job is in, in the order in which a job goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for memory or for the set's lease.
    Waiting,
    /// Asking the source where it stands.
    Probing,
    /// Moving bytes from the source to the store.
    Capturing,
    /// Checking and publishing the manifest.
    Publishing,
    /// Reading back and checking.
    Verifying,
    /// Handing bytes to a restore target.
    Restoring,
    /// Removing what retention or the janitor decided.
    Removing,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Probing => "probing",
            Self::Capturing => "capturing",
            Self::Publishing => "publishing",
            Self::Verifying => "verifying",
            Self::Restoring => "restoring",
            Self::Removing => "removing",
        })
    }
}

/// Something that happened in a job.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A phase began.
    Phase(Phase),
    /// What another program that the source drives is doing, in that program's words, and how much of that step is done.
    Step {
        /// The name of the step.
        name: String,
        /// Percent of this step, when the program says so.
        percent: Option<u8>,
    },
    /// Something that does not stop the job, but that somebody should read.
    Warning(String),
}

/// Receives the events of jobs. Called from the job's task: it returns at once and does not block.
pub trait Observer: Send + Sync + 'static {
    /// One event of the job that `cx` belongs to.
    fn event(&self, cx: &JobContext, event: &Event);
}

/// Writes events to `tracing`; the default observer.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingObserver;

impl Observer for TracingObserver {
    fn event(&self, cx: &JobContext, event: &Event) {
        match event {
            Event::Phase(phase) => tracing::debug!(job = %cx.job(), %phase, "phase"),
            Event::Step { name, percent } => tracing::debug!(job = %cx.job(), step = name, percent, "step"),
            Event::Warning(text) => tracing::warn!(job = %cx.job(), "{text}"),
        }
    }
}
