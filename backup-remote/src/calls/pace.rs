//! The bandwidth limit.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backup_core::{JobContext, Result};

/// Lets bytes pass at a rate, in the order in which they come. Bytes that come together pass together, as early as the first of them
/// may: over any longer time the rate holds, and nothing is saved up while nobody comes.
#[derive(Debug)]
pub(super) struct Pace {
    bytes_per_second: u64,
    /// When what was let through so far has had its time.
    free: Mutex<Duration>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), free: Mutex::new(Duration::ZERO) }
    }

    pub(super) async fn pass(&self, cx: &JobContext, bytes: u64) -> Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let taken = Duration::try_from_secs_f64(bytes as f64 / self.bytes_per_second as f64).unwrap_or(Duration::MAX);
        let now = cx.clock().monotonic();
        let wait = {
            let mut free = self.free();
            let from = now.max(*free);
            *free = from.saturating_add(taken);
            from.saturating_sub(now)
        };
        if wait.is_zero() {
            return Ok(());
        }
        let mut place = Place { pace: self, taken };
        cx.sleep(wait).await?;
        place.taken = Duration::ZERO;
        Ok(())
    }

    fn free(&self) -> MutexGuard<'_, Duration> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time that somebody waits for; given back when he gives up.
struct Place<'a> {
    pace: &'a Pace,
    taken: Duration,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut free = self.pace.free();
        *free = free.saturating_sub(self.taken);
    }
}
