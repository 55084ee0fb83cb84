//! When a call is attempted again, and after which pause.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use backup_core::Random;

use super::CallLimits;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// What a service may ask for; who asks for more gets this.
const LONGEST_ASKED: Duration = Duration::from_secs(120);

/// What repetitions may cost together, so that a service that fails everything is not asked many times as often as one that works.
/// An ended call earns back a part of one repetition.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicI64,
}

const FULL: i64 = 1000;
const REPETITION: i64 = 5;
const EARNED: i64 = 1;

impl Budget {
    pub(super) fn new() -> Self {
        Self { left: AtomicI64::new(FULL) }
    }

    pub(super) fn withdraw(&self) -> bool {
        let enough = |left: i64| (left >= REPETITION).then(|| left - REPETITION);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok()
    }

    pub(super) fn deposit(&self) {
        let more = |left: i64| Some((left + EARNED).min(FULL));
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

/// The pause after attempt number `attempt`: doubled each time, half of it by chance; never shorter than the service asked for.
pub(super) fn pause(limits: &CallLimits, attempt: u32, asked: Option<Duration>, random: &dyn Random) -> Duration {
    let _ = limits;
    let whole = FIRST_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let chance = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let pause = whole.mul_f64(0.5 + chance / 2.0);
    asked.map_or(pause, |asked| asked.min(LONGEST_ASKED).max(pause))
}
