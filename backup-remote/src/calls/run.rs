//! The way of one call through the limits.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::{Effect, Error, ErrorKind, JobContext, Result};

use super::{Attempt, Call, CallRecord, Calls, Failure, Repeat, Shared, retry};
use crate::codes;

impl Calls {
    /// Makes a call: `attempt` is asked for one attempt after the other, with the number of the attempt from 1.
    ///
    /// # Behavior
    /// The place among the parallel calls is held for an attempt, not between attempts, and not for a body that is read after it. So an
    /// attempt makes no other call of the same [`Calls`]: with every place taken by such attempts none would go on.
    ///
    /// An attempt that is over its time limit is dropped. It must not leave work of its own behind then; what it sent may still take effect,
    /// also after a later attempt did.
    ///
    /// # Errors
    /// The last attempt's, with effect `unknown` when the call changes something and an attempt may have taken effect before (so the answer
    /// of a repetition that the thing exists may be about the first attempt's own); `remote.timeout`; those of the context. When the deadline
    /// would pass in the pause before the next attempt, the last attempt's error comes at once.
    ///
    /// # Cancel safety
    /// As safe as the attempts are; the context ends it in any of its waits.
    pub async fn run<T, F>(&self, cx: &JobContext, call: &Call, mut attempt: impl FnMut(u32) -> F) -> Result<T>
    where
        F: Future<Output = Attempt<T>>,
    {
        let mut made = Made::new(&self.shared, cx, call);
        let result = self.attempts(cx, call, &mut attempt, &mut made).await.map_err(|error| {
            let unknown = call.changes && made.unsettled && error.effect() == Effect::None;
            let error = if unknown { error.with_effect(Effect::Unknown) } else { error };
            error.context(format!("{} {}", self.shared.service, call.operation))
        });
        made.outcome = Some(result.as_ref().err().map(Error::kind));
        result
    }

    async fn attempts<T, F>(
        &self,
        cx: &JobContext,
        call: &Call,
        attempt: &mut impl FnMut(u32) -> F,
        made: &mut Made<'_>,
    ) -> Result<T>
    where
        F: Future<Output = Attempt<T>>,
    {
        loop {
            // An attempt that is quick enough would otherwise be made and answered after the deadline.
            cx.check()?;
            let failure = match self.one(cx, call, attempt, made).await? {
                Attempt::Ended(result) => {
                    self.shared.budget.deposit();
                    return result;
                }
                Attempt::Failed(failure) => failure,
            };
            if failure.sent && call.repeat == Repeat::IfUnsent {
                return Err(failure.error);
            }
            self.again(cx, call.operation, made.attempts, failure.after, failure.error).await?;
        }
    }

    async fn one<T, F>(
        &self,
        cx: &JobContext,
        call: &Call,
        attempt: &mut impl FnMut(u32) -> F,
        made: &mut Made<'_>,
    ) -> Result<Attempt<T>>
    where
        F: Future<Output = Attempt<T>>,
    {
        let parallel = Arc::clone(&self.shared.parallel);
        let place = cx.run(async move {
            let closed = |error| Error::new(&core_codes::INTERNAL, "the limit of parallel calls is closed").with_source(error);
            parallel.acquire_owned().await.map_err(closed)
        });
        let _place = place.await?;
        if !call.streamed {
            self.paced(cx, call.bytes).await?;
        }
        made.attempts += 1;
        // Made only now: what it computes at once, a signature's time above all, is not to grow old in a queue.
        let attempt = attempt(made.attempts);
        let limit = self.shared.limits.attempt(call.bytes).saturating_add(call.patience);
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
        // While it runs, and when the context ends it, the attempt may have reached the service.
        let before = std::mem::replace(&mut made.unsettled, true);
        let ended = cx.run(limited).await?;
        made.unsettled = before || matches!(&ended, Attempt::Failed(failure) if failure.sent);
        Ok(ended)
    }

    /// Waits until the next attempt is due after so many failed ones, or gives `error` back when there is to be none.
    pub(super) async fn again(
        &self,
        cx: &JobContext,
        operation: &str,
        failed: u32,
        asked: Option<Duration>,
        error: Error,
    ) -> Result<()> {
        if failed >= self.shared.limits.attempts {
            return Err(if failed > 1 { error.context(format!("attempt {failed}, the last")) } else { error });
        }
        let pause = retry::pause(failed, asked, &*cx.environment().random);
        if cx.remaining().is_some_and(|left| left <= pause) || !self.shared.budget.withdraw() {
            return Err(error);
        }
        let service = &self.shared.service;
        tracing::debug!(service, operation, attempt = failed, ?pause, error = %error, "trying again");
        cx.sleep(pause).await
    }
}

/// What a call has come to so far. Tells the observer when it is dropped, for calls are dropped too.
struct Made<'a> {
    shared: &'a Shared,
    cx: &'a JobContext,
    call: &'a Call,
    started: Duration,
    attempts: u32,
    /// An attempt may have taken effect without an answer that says so.
    unsettled: bool,
    outcome: Option<Option<ErrorKind>>,
}

impl<'a> Made<'a> {
    fn new(shared: &'a Shared, cx: &'a JobContext, call: &'a Call) -> Self {
        Self { shared, cx, call, started: cx.clock().monotonic(), attempts: 0, unsettled: false, outcome: None }
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if let Some(observer) = &self.shared.observer {
            observer.ended(&CallRecord {
                service: &self.shared.service,
                operation: self.call.operation,
                failed: self.outcome.unwrap_or(Some(ErrorKind::Cancelled)),
                attempts: self.attempts,
                elapsed: self.cx.clock().monotonic().saturating_sub(self.started),
                bytes: self.call.bytes,
            });
        }
    }
}
