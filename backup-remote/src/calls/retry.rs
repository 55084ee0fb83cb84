//! When a call is attempted again, and after which pause.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use backup_core::Random;

use super::CallLimits;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// What a service may ask for; who asks for more gets this.
const LONGEST_ASKED: Duration = Duration::from_secs(120);

/// What a repetition costs, and what an ended call earns.
const REPETITION: i64 = 5;
const EARNED: i64 = 1;
/// Repetitions of a full budget at least.
const LEAST: i64 = 200;

/// What repetitions may cost together, so that a service that fails everything is not asked many times as often as one that works.
/// Full, it is enough for every parallel call to use up its attempts once; an ended call earns back a part of one repetition.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicI64,
    full: i64,
}

impl Budget {
    pub(super) fn new(limits: &CallLimits) -> Self {
        let once = i64::try_from(limits.parallel).unwrap_or(i64::MAX).saturating_mul(i64::from(limits.attempts));
        let full = once.max(LEAST).saturating_mul(REPETITION);
        Self { left: AtomicI64::new(full), full }
    }

    pub(super) fn withdraw(&self) -> bool {
        let enough = |left: i64| (left >= REPETITION).then(|| left - REPETITION);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).is_ok()
    }

    pub(super) fn deposit(&self) {
        let more = |left: i64| Some(left.saturating_add(EARNED).min(self.full));
        // The closure always gives a value.
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

/// The pause after so many failed attempts: doubled each time, half of it by chance. When the service asked for a pause it is that one
/// and up to a tenth more by chance, so that not all who were asked come back at the same moment.
pub(super) fn pause(failed: u32, asked: Option<Duration>, random: &dyn Random) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let chance = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let pause = whole.mul_f64(0.5 + chance / 2.0);
    asked.map_or(pause, |asked| asked.min(LONGEST_ASKED).mul_f64(1.0 + chance / 10.0).max(pause))
}
