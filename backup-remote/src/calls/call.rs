//! What is called, and how an attempt at it ends.

use std::time::Duration;

use backup_core::{Error, Result};

/// Whether a call may be made again when nobody knows whether the first one took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Yes: it changes nothing, or making it twice is as good as once, or the caller settles what a repetition does.
    Always,
    /// Only when it certainly had no effect.
    IfUnsent,
}

/// One call, as it is limited, retried and measured.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Call {
    /// What it is, in the service's own word: `PutObject`.
    pub operation: &'static str,
    /// Whether it may be repeated.
    pub repeat: Repeat,
    /// Whether it changes anything at the service: an error is then of unknown effect once an attempt was sent.
    pub changes: bool,
    /// Bytes that it sends: the bandwidth limit counts them for every attempt, and the time limit of an attempt grows with them.
    pub bytes: u64,
    /// What an attempt may take longer than others: the service has much to do before it answers.
    pub patience: Duration,
    /// The bytes are counted for the bandwidth limit while they are sent, not before.
    pub(crate) streamed: bool,
}

impl Call {
    /// A call that changes nothing.
    pub fn reading(operation: &'static str) -> Self {
        Self { operation, repeat: Repeat::Always, changes: false, bytes: 0, patience: Duration::ZERO, streamed: false }
    }

    /// A call that changes something.
    pub fn changing(operation: &'static str, repeat: Repeat) -> Self {
        Self { operation, repeat, changes: true, bytes: 0, patience: Duration::ZERO, streamed: false }
    }

    /// Sets how many bytes it sends.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets how much longer than others an attempt may take.
    #[must_use]
    pub fn patience(mut self, more: Duration) -> Self {
        self.patience = more;
        self
    }
}

/// How one attempt ended.
#[derive(Debug)]
pub enum Attempt<T> {
    /// The service answered, well or badly; asking again would not change that.
    Ended(Result<T>),
    /// It failed in a way that another attempt may mend.
    Failed(Failure),
}

/// A failed attempt.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong; the last one is what the caller gets.
    pub error: Error,
    /// Whether the call may have taken effect.
    pub sent: bool,
    /// How long the service asked to wait.
    pub after: Option<Duration>,
}

impl Failure {
    /// A failure after which nobody knows whether the call took effect.
    pub fn sent(error: Error) -> Self {
        Self { error, sent: true, after: None }
    }

    /// A failure that certainly left no effect: the service got nothing, or said that it did nothing.
    pub fn unsent(error: Error) -> Self {
        Self { error, sent: false, after: None }
    }

    /// Sets how long the service asked to wait.
    #[must_use]
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        self.after = wait;
        self
    }
}
