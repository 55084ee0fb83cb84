//! Time that passes when the test says so.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{oneshot, watch};

use super::lock;
use crate::environment::Clock;

/// A clock that stands still until it is advanced. Clones are the same clock.
///
/// # Behavior
/// `sleep` waits until somebody advances the clock far enough. With [`VirtualClock::auto_advance`] the clock advances itself
/// to the next wake-up when nothing else happens, so code that only waits does not hang. Whether something else
/// happens is best known to a tokio runtime with paused time (`#[tokio::test(start_paused = true)]`): there it means that
/// every task waits and no blocking work runs. In a runtime with real time it means that nobody used the clock for about two milliseconds,
/// which is too short for code that computes longer than that under a deadline.
#[derive(Debug, Clone)]
pub struct VirtualClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    auto: watch::Sender<Option<Duration>>,
    sleeping: watch::Sender<usize>,
}

#[derive(Debug)]
struct State {
    start: DateTime<Utc>,
    passed: Duration,
    wall_shift: TimeDelta,
    /// By wake-up and order of arrival.
    sleepers: BTreeMap<(Duration, u64), oneshot::Sender<()>>,
    /// Changes with every sleep that begins or ends: how auto-advance sees that code makes progress.
    activity: u64,
}

impl VirtualClock {
    /// A clock whose wall shows `start` and whose monotonic time is zero.
    pub fn new(start: DateTime<Utc>) -> Self {
        let state =
            State { start, passed: Duration::ZERO, wall_shift: TimeDelta::zero(), sleepers: BTreeMap::new(), activity: 0 };
        Self(Arc::new(Inner { state: Mutex::new(state), auto: watch::Sender::new(None), sleeping: watch::Sender::new(0) }))
    }

    /// Lets `duration` pass at once and wakes every sleep that is over then, as after a suspended machine.
    pub fn advance(&self, duration: Duration) {
        let target = lock(&self.0.state).passed.saturating_add(duration);
        self.0.advance_to(target);
    }

    /// Lets `duration` pass from wake-up to wake-up, each woken task running before the next one is woken.
    pub async fn pass(&self, duration: Duration) {
        let end = lock(&self.0.state).passed.saturating_add(duration);
        loop {
            settle().await;
            match self.0.next_wake_up() {
                Some(next) if next <= end => self.0.advance_to(next),
                _ => break,
            }
        }
        self.0.advance_to(end);
        settle().await;
    }

    /// Moves the wall clock, forth or back. Monotonic time and sleeps do not notice.
    pub fn shift_wall(&self, by: TimeDelta) {
        lock(&self.0.state).wall_shift += by;
    }

    /// Whether the clock advances itself to the next wake-up when nothing else happens.
    pub fn auto_advance(&self, yes: bool) {
        self.0.auto.send_replace(yes.then_some(Duration::MAX));
    }

    /// Like [`VirtualClock::auto_advance`], but only for sleeps of at most `limit`: pauses between tries pass by themselves, while
    /// deadlines and renewals wait for the test, however long work on other threads takes.
    pub fn auto_advance_up_to(&self, limit: Duration) {
        self.0.auto.send_replace(Some(limit));
    }

    /// How many sleeps are under way.
    pub fn sleepers(&self) -> usize {
        *self.0.sleeping.borrow()
    }

    /// Waits until at least `count` sleeps are under way: then the code under test has come to its wait.
    pub async fn wait_for_sleepers(&self, count: usize) {
        // The sender lives as long as `self`.
        let _ = self.0.sleeping.subscribe().wait_for(|sleeping| *sleeping >= count).await;
    }
}

impl Inner {
    fn next_wake_up(&self) -> Option<Duration> {
        lock(&self.state).sleepers.keys().next().map(|(wake_up, _)| *wake_up)
    }

    fn advance_to(&self, target: Duration) {
        let mut state = lock(&self.state);
        state.passed = state.passed.max(target);
        state.activity += 1;
        let border = (state.passed.saturating_add(Duration::from_nanos(1)), 0);
        let later = state.sleepers.split_off(&border);
        for (_, wake) in std::mem::replace(&mut state.sleepers, later) {
            // A sleep that was dropped in this moment needs no waking.
            let _ = wake.send(());
        }
        self.sleeping.send_replace(state.sleepers.len());
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        let state = lock(&self.0.state);
        let passed = TimeDelta::from_std(state.passed).unwrap_or(TimeDelta::MAX);
        state.start.checked_add_signed(passed).and_then(|t| t.checked_add_signed(state.wall_shift)).unwrap_or(state.start)
    }

    fn monotonic(&self) -> Duration {
        lock(&self.0.state).passed
    }

    async fn sleep(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        let mut sleep = Sleep::begin(&self.0, duration);
        let mut auto = self.0.auto.subscribe();
        let mut seen = None;
        loop {
            let auto_advance = auto.borrow_and_update().is_some_and(|limit| duration <= limit);
            tokio::select! {
                biased;
                _ = &mut sleep.woken => return,
                _ = auto.changed() => {}
                () = tick(), if auto_advance => {
                    let activity = lock(&self.0.state).activity;
                    // Two quiet ticks, and only the sleep that is due first.
                    if seen.replace(activity) == Some(activity) && self.0.next_wake_up() == Some(sleep.id.0) {
                        self.0.advance_to(sleep.id.0);
                    }
                }
            }
        }
    }
}

/// A sleep under way; leaves the clock's list when dropped.
struct Sleep {
    clock: Arc<Inner>,
    id: (Duration, u64),
    woken: oneshot::Receiver<()>,
}

impl Sleep {
    fn begin(clock: &Arc<Inner>, duration: Duration) -> Self {
        let (wake, woken) = oneshot::channel();
        let mut state = lock(&clock.state);
        state.activity += 1;
        let id = (state.passed.saturating_add(duration), state.activity);
        state.sleepers.insert(id, wake);
        clock.sleeping.send_replace(state.sleepers.len());
        drop(state);
        Self { clock: clock.clone(), id, woken }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let mut state = lock(&self.clock.state);
        state.activity += 1;
        state.sleepers.remove(&self.id);
        self.clock.sleeping.send_replace(state.sleepers.len());
    }
}

/// A moment in which others can run. In a runtime with paused time it ends when every task waits.
async fn tick() {
    if tokio::runtime::Handle::try_current().is_ok() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    } else {
        tokio::task::yield_now().await;
    }
}

/// Lets the woken tasks of a current-thread runtime run.
async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}
