//! The one way through which every operation goes: counting, crashing and faults are decided here.

use std::time::Duration;

use super::SimStore;
use super::state::State;
use super::trace::{CrashMode, Op, OpKind};
use crate::context::JobContext;
use crate::environment::Random;
use crate::error::{Effect, Error, Result, Retry, codes};
use crate::testkit::Fault;

/// What was decided for an operation when it began.
pub(super) struct Ticket {
    pub(super) fault: Option<Fault>,
    crash: Option<CrashMode>,
    yields: u64,
}

impl SimStore {
    /// Does one operation: `effect` is what it does to the store's machine, in one step.
    pub(super) async fn step<T: Send + 'static>(
        &self,
        cx: &JobContext,
        kind: OpKind,
        key: &str,
        effect: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ticket = self.admit(kind, key)?;
        self.wait(cx, &ticket).await?;
        self.apply(&ticket, key, effect)
    }

    /// Counts an operation and decides what becomes of it.
    pub(super) fn admit(&self, kind: OpKind, key: &str) -> Result<Ticket> {
        self.with(|state| {
            let process = &mut state.processes[self.process];
            if process.dead {
                return Err(crashed());
            }
            process.ops += 1;
            let number = process.ops;
            let crash = process.crash_at.filter(|(n, _)| *n == number).map(|(_, mode)| mode);
            process.dead = crash == Some(CrashMode::BeforeEffect);
            state.trace.push(Op { process: self.process, number, kind, key: key.to_owned() });
            let fault = state.faults.next(kind, key);
            let yields = state.jitter.as_ref().map_or(0, |random| random.next_u64() % 4);
            Ok(Ticket { fault, crash, yields })
        })
    }

    pub(super) async fn wait(&self, cx: &JobContext, ticket: &Ticket) -> Result<()> {
        for _ in 0..ticket.yields {
            tokio::task::yield_now().await;
        }
        match ticket.fault {
            Some(Fault::SleepPast(duration)) => self.shared.clock.sleep(duration).await,
            Some(Fault::Hang) => {
                cx.run(std::future::pending::<Result<()>>()).await.map_err(|error| error.with_effect(Effect::Unknown))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Lets the effect take place, or not, as the ticket says.
    pub(super) fn apply<T: 'static>(
        &self,
        ticket: &Ticket,
        key: &str,
        effect: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let now = self.shared.clock.monotonic();
        self.with(|state| {
            // A process that died meanwhile sends no request any more.
            if state.processes[self.process].dead {
                return Err(crashed().with_effect(Effect::Unknown));
            }
            let answer = take_effect(state, ticket, key, now, effect);
            if ticket.crash.is_some() {
                state.processes[self.process].dead = true;
                return Err(crashed().with_effect(Effect::Unknown));
            }
            answer
        })
    }

    /// # Errors
    /// When this handle's process is dead.
    pub(super) fn alive(&self) -> Result<()> {
        if self.is_dead() { Err(crashed()) } else { Ok(()) }
    }
}

fn take_effect<T: 'static>(
    state: &mut State,
    ticket: &Ticket,
    key: &str,
    now: Duration,
    effect: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
) -> Result<T> {
    match ticket.fault {
        Some(Fault::ErrorBefore(code)) => Err(Error::new(code, format!("injected before {key}"))),
        Some(Fault::Throttle) => Err(Error::new(&codes::STORE_BUSY, format!("injected: slow down at {key}"))),
        Some(Fault::ErrorAfterEffect) => effect(state).and_then(|_| Err(unknown("the answer was lost", key))),
        Some(Fault::Timeout) if state.faults.toss() => effect(state).and_then(|_| Err(unknown("timed out", key))),
        Some(Fault::Timeout) => Err(unknown("timed out", key)),
        Some(Fault::LateEffect(after)) => {
            state.late.push((now.saturating_add(after), Box::new(move |state| drop(effect(state)))));
            Err(unknown("timed out", key))
        }
        Some(Fault::LostUpdate) => {
            let before = state.entry(key);
            let answer = effect(state);
            state.put_back(key, before);
            answer
        }
        Some(Fault::ListLag(listings)) => {
            let before = state.entry(key);
            let answer = effect(state);
            state.lag(key, before, listings);
            answer
        }
        // Waited for before.
        Some(Fault::SleepPast(_) | Fault::Hang) => effect(state),
        // These change the body of a read.
        Some(Fault::ShortRead(_) | Fault::SilentShortRead(_) | Fault::FlipBitRead { .. }) | None => effect(state),
    }
}

/// A dead process does not try again, and a test that plays one need not wait for retries.
pub(super) fn crashed() -> Error {
    Error::new(&codes::STORE_UNAVAILABLE, "crashed (simulated)").with_retry(Retry::Never)
}

fn unknown(what: &str, key: &str) -> Error {
    Error::new(&codes::STORE_UNAVAILABLE, format!("injected: {what} at {key}")).with_effect(Effect::Unknown)
}
