//! The exclusive right to write to a backup set.
//!
//! Publishing is safe without it (see `record::Aborted`); it spares two jobs the work of which one would lose.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;

use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::name::SetName;

/// Hands out leases.
#[async_trait]
pub trait Leases: Send + Sync + fmt::Debug + 'static {
    /// Waits for the lease of `set`. With `wait` false a held one is an error. Cancel safe.
    ///
    /// # Errors
    /// `lease.busy` without `wait`; `job.cancelled`, `job.deadline`.
    async fn acquire(&self, cx: &JobContext, set: &SetName, wait: bool) -> Result<Box<dyn Lease>>;
}

/// A lease, given back when dropped.
#[async_trait]
pub trait Lease: Send + Sync + fmt::Debug {
    /// Counts the holders of this lease; stands in the manifest.
    fn generation(&self) -> u64;

    /// # Errors
    /// `lease.lost` when somebody else may hold it by now.
    async fn still_held(&self) -> Result<()>;
}

/// Leases within one process. They are lost only with it.
#[derive(Debug, Default)]
pub struct LocalLeases {
    sets: Mutex<HashMap<SetName, Arc<tokio::sync::Mutex<u64>>>>,
}

#[async_trait]
impl Leases for LocalLeases {
    async fn acquire(&self, cx: &JobContext, set: &SetName, wait: bool) -> Result<Box<dyn Lease>> {
        let lock = Arc::clone(self.sets.lock().unwrap_or_else(PoisonError::into_inner).entry(set.clone()).or_default());
        let mut held = if wait {
            cx.run(async { Ok(lock.lock_owned().await) }).await?
        } else {
            lock.try_lock_owned()
                .map_err(|_| Error::new(&codes::LEASE_BUSY, format!("another job works on the backup set {set}")))?
        };
        *held += 1;
        Ok(Box::new(LocalLease(held)))
    }
}

#[derive(Debug)]
struct LocalLease(OwnedMutexGuard<u64>);

#[async_trait]
impl Lease for LocalLease {
    fn generation(&self) -> u64 {
        *self.0
    }

    async fn still_held(&self) -> Result<()> {
        Ok(())
    }
}
