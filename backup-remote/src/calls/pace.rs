//! The bandwidth limit.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backup_core::{JobContext, Result};

/// Lets bytes pass at a rate, in the order in which they come.
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
        let now = cx.clock().monotonic();
        let wait = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let from = now.max(*free);
            *free = from + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
            from - now
        };
        if wait.is_zero() { Ok(()) } else { cx.sleep(wait).await }
    }
}
