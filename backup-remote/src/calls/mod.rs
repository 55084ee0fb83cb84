//! Calls to a remote service: one way through all limits, whose order cannot be got wrong because there is only this one.
//!
//! From the outside in: metrics, retries, the limit of parallel calls, bandwidth, the time limit of one attempt.

mod limits;
mod observe;
mod pace;
mod retry;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::{Effect, Error, JobContext, Result};
use tokio::sync::Semaphore;

pub use limits::CallLimits;
pub use observe::{CallObserver, CallRecord};

use crate::codes;
use pace::Pace;
use retry::Budget;

/// The way to one service. Cheap to clone; clones share all limits.
#[derive(Clone)]
pub struct Calls {
    shared: Arc<Shared>,
}

struct Shared {
    service: String,
    limits: CallLimits,
    parallel: Arc<Semaphore>,
    pace: Option<Pace>,
    budget: Budget,
    observer: Option<Arc<dyn CallObserver>>,
}

/// Whether a call may be made again when nobody knows whether the first one took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Yes: it changes nothing, or making it twice is as good as once, or the caller settles what a repetition does.
    Always,
    /// Only when it certainly did not reach the service.
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
    /// Bytes that it sends: the bandwidth limit counts them, and the time limit of an attempt grows with them.
    pub bytes: u64,
}

impl Call {
    /// A call that changes nothing.
    pub fn reading(operation: &'static str) -> Self {
        Self { operation, repeat: Repeat::Always, changes: false, bytes: 0 }
    }

    /// A call that changes something.
    pub fn changing(operation: &'static str, repeat: Repeat) -> Self {
        Self { operation, repeat, changes: true, bytes: 0 }
    }

    /// Sets how many bytes it sends.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
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
    /// Whether the service may have got the call.
    pub sent: bool,
    /// How long the service asked to wait.
    pub after: Option<Duration>,
}

impl Failure {
    /// A failure after which nobody knows whether the service got the call.
    pub fn sent(error: Error) -> Self {
        Self { error, sent: true, after: None }
    }

    /// A failure before the service got anything.
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

impl Calls {
    /// Calls to `service`, a name for messages and metrics.
    pub fn new(service: impl Into<String>, limits: CallLimits) -> Self {
        Self::observed(service, limits, None)
    }

    /// Calls that tell `observer` how each of them ended.
    pub fn observed(service: impl Into<String>, limits: CallLimits, observer: Option<Arc<dyn CallObserver>>) -> Self {
        let parallel = Arc::new(Semaphore::new(limits.parallel.max(1)));
        let pace = limits.bytes_per_second.map(Pace::new);
        let shared = Shared { service: service.into(), parallel, pace, budget: Budget::new(), observer, limits };
        Self { shared: Arc::new(shared) }
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        &self.shared.service
    }

    /// The limits.
    pub fn limits(&self) -> &CallLimits {
        &self.shared.limits
    }

    /// Makes a call: `attempt` is asked for one attempt after the other, with the number of the attempt from 1.
    ///
    /// # Behavior
    /// The place among the parallel calls is held for an attempt, not between attempts, and not for a body that is read after it.
    ///
    /// # Errors
    /// The last attempt's, with effect `unknown` when the call changes something and an attempt may have reached the service;
    /// `remote.timeout`; those of the context.
    ///
    /// # Cancel safety
    /// As safe as the attempts are; the context ends it in any of its waits.
    pub async fn run<T, F>(&self, cx: &JobContext, call: &Call, mut attempt: impl FnMut(u32) -> F) -> Result<T>
    where
        F: Future<Output = Attempt<T>>,
    {
        let started = cx.clock().monotonic();
        let mut state = Made::default();
        let result = self.attempts(cx, call, &mut attempt, &mut state).await;
        let result = result.map_err(|error| {
            let unknown = call.changes && state.sent && error.effect() == Effect::None && !state.ended;
            let error = if unknown { error.with_effect(Effect::Unknown) } else { error };
            error.context(format!("{} {}", self.shared.service, call.operation))
        });
        if let Some(observer) = &self.shared.observer {
            observer.ended(&CallRecord {
                service: &self.shared.service,
                operation: call.operation,
                failed: result.as_ref().err().map(Error::kind),
                attempts: state.attempts,
                elapsed: cx.clock().monotonic().saturating_sub(started),
                bytes: call.bytes,
            });
        }
        result
    }

    async fn attempts<T, F>(
        &self,
        cx: &JobContext,
        call: &Call,
        attempt: &mut impl FnMut(u32) -> F,
        state: &mut Made,
    ) -> Result<T>
    where
        F: Future<Output = Attempt<T>>,
    {
        loop {
            cx.check()?;
            state.attempts += 1;
            let failure = match self.one(cx, call, attempt(state.attempts), state).await? {
                Attempt::Ended(result) => {
                    state.ended = true;
                    self.shared.budget.deposit();
                    return result;
                }
                Attempt::Failed(failure) => failure,
            };
            state.sent |= failure.sent;
            let repeatable = !failure.sent || call.repeat == Repeat::Always;
            if !repeatable || state.attempts >= self.shared.limits.attempts.max(1) || !self.shared.budget.withdraw() {
                return Err(failure.error);
            }
            let pause = retry::pause(&self.shared.limits, state.attempts, failure.after, &*cx.environment().random);
            if cx.remaining().is_some_and(|left| left <= pause) {
                return Err(failure.error);
            }
            tracing::debug!(
                service = self.shared.service, operation = call.operation, attempt = state.attempts, ?pause, error = %failure.error, "trying again"
            );
            cx.sleep(pause).await?;
        }
    }

    async fn one<T>(
        &self,
        cx: &JobContext,
        call: &Call,
        attempt: impl Future<Output = Attempt<T>>,
        state: &mut Made,
    ) -> Result<Attempt<T>> {
        let parallel = Arc::clone(&self.shared.parallel);
        let place = cx.run(async move {
            let closed = |error| Error::new(&core_codes::INTERNAL, "the limit of parallel calls is closed").with_source(error);
            parallel.acquire_owned().await.map_err(closed)
        });
        let _place = place.await?;
        self.paced(cx, call.bytes).await?;
        let limit = self.shared.limits.attempt(call.bytes);
        let before = std::mem::replace(&mut state.sent, true);
        let limited = async {
            tokio::select! {
                biased;
                attempt = attempt => Ok(attempt),
                () = cx.clock().sleep(limit) => Ok(Attempt::Failed(Failure::sent(Error::new(
                    &codes::TIMEOUT,
                    format!("no answer within {} s", limit.as_secs()),
                )))),
            }
        };
        // Ended by the context, the attempt may have reached the service.
        let ended = cx.run(limited).await?;
        state.sent = before;
        Ok(ended)
    }

    /// Waits until `bytes` more may pass: for bodies that are read after their call.
    ///
    /// # Errors
    /// Those of the context.
    pub async fn paced(&self, cx: &JobContext, bytes: u64) -> Result<()> {
        match &self.shared.pace {
            Some(pace) => pace.pass(cx, bytes).await,
            None => Ok(()),
        }
    }
}

/// What a call has come to so far.
#[derive(Default)]
struct Made {
    attempts: u32,
    /// An attempt may have reached the service without an answer that settles it.
    sent: bool,
    /// The service answered.
    ended: bool,
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls")
            .field("service", &self.shared.service)
            .field("limits", &self.shared.limits)
            .finish_non_exhaustive()
    }
}
