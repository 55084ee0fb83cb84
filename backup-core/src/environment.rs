//! What the engine takes from outside instead of from the machine: the [`Clock`] and [`Random`] numbers.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Wall-clock time, monotonic time and sleeping. Tests bring a virtual one (`testkit::VirtualClock`).
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The wall-clock time, UTC. May jump.
    fn now(&self) -> DateTime<Utc>;

    /// Time since an arbitrary start. Never goes back.
    fn monotonic(&self) -> Duration;

    /// Waits. Cancel safe.
    async fn sleep(&self, duration: Duration);
}

/// Random numbers for ids.
pub trait Random: Send + Sync + fmt::Debug + 'static {
    /// The next number, uniform over all values.
    fn next_u64(&self) -> u64;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The operating system's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        // It fails only where the operating system has no entropy source; the per-process hasher keys are the fallback.
        if getrandom::fill(&mut bytes).is_err() {
            use std::hash::{BuildHasher, Hasher, RandomState};
            return RandomState::new().build_hasher().finish();
        }
        u64::from_le_bytes(bytes)
    }
}

/// Clock and random numbers together, as the engine is given them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Environment {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Random numbers.
    pub random: Arc<dyn Random>,
}

impl Environment {
    /// An environment of one's own.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random }
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(SystemRandom))
    }
}
