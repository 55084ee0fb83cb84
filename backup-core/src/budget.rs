//! Bounded memory: a job reserves its whole working set before it starts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::context::JobContext;
use crate::error::{Error, Result, codes};

/// Bytes in one permit: reservations are rounded up to it.
const UNIT: u64 = 1024;

/// The memory that all jobs of a process may use together. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    permits: Arc<Semaphore>,
    total: u64,
    patience: Option<Duration>,
}

/// Of 256 MiB: on an object store four jobs of one artifact at a time, or one of four.
impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new(256 << 20)
    }
}

/// Memory that a job holds until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Reservation(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl MemoryBudget {
    /// A budget of `bytes`.
    pub fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes / UNIT).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Self { permits: Arc::new(Semaphore::new(units)), total: units as u64 * UNIT, patience: None }
    }

    /// The same budget, on which nobody waits longer than `limit`.
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = Some(limit);
        self
    }

    /// All of it, in bytes.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// What nobody holds, in bytes.
    pub fn available(&self) -> u64 {
        self.permits.available_permits() as u64 * UNIT
    }

    /// Waits until `bytes` are free and takes them, in the order of the calls. Cancel safe.
    ///
    /// # Errors
    /// `budget.too_small` when they can never be free; `store.busy` when the patience ends; `job.cancelled`, `job.deadline`.
    pub async fn reserve(&self, cx: &JobContext, bytes: u64) -> Result<Reservation> {
        if bytes > self.total {
            return Err(Error::new(
                &codes::BUDGET_TOO_SMALL,
                format!("the job needs {bytes} bytes of memory and the budget is {} bytes", self.total),
            ));
        }
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let permits = Arc::clone(&self.permits);
        let take = async move {
            let permit = permits.acquire_many_owned(units).await;
            permit
                .map(Reservation)
                .map_err(|error| Error::new(&codes::INTERNAL, "the memory budget is closed").with_source(error))
        };
        let give_up = async {
            match self.patience {
                Some(limit) => cx.clock().sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let busy = || Error::new(&codes::STORE_BUSY, format!("all of the {} bytes of memory for this are taken", self.total));
        cx.run(async {
            tokio::select! {
                biased;
                taken = take => taken,
                () = give_up => Err(busy()),
            }
        })
        .await
    }
}
