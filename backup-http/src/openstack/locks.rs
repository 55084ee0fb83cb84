//! The right to work on a volume, an instance, or the counts of a project: one at a time, in all processes on one state together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backup_core::lease::Lease;
use backup_core::state::State;
use backup_core::{Clock, Result};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// How often a lock that another process holds is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// So many names are remembered before those that nobody holds are forgotten.
const REMEMBERED: usize = 1024;

#[derive(Debug)]
pub(super) struct Locks {
    state: Arc<dyn State>,
    clock: Arc<dyn Clock>,
    /// The queue within this process: first come, first served.
    here: Mutex<HashMap<String, Arc<AsyncMutex<()>>>>,
}

/// A lock, given back when dropped: the state's lease first, then the place in this process's queue.
#[derive(Debug)]
#[must_use]
pub(super) struct Lock {
    _lease: Box<dyn Lease>,
    _here: OwnedMutexGuard<()>,
}

pub(super) fn volume(id: &str) -> String {
    format!("openstack/volume/{id}")
}

pub(super) fn instance(id: &str) -> String {
    format!("openstack/instance/{id}")
}

pub(super) fn project(id: &str) -> String {
    format!("openstack/project/{id}")
}

impl Locks {
    pub(super) fn new(state: Arc<dyn State>, clock: Arc<dyn Clock>) -> Self {
        Self { state, clock, here: Mutex::default() }
    }

    fn queue(&self, name: &str) -> Arc<AsyncMutex<()>> {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if here.len() > REMEMBERED {
            here.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        Arc::clone(here.entry(name.to_owned()).or_default())
    }

    /// `None` while somebody holds it.
    pub(super) async fn try_lock(&self, name: &str) -> Result<Option<Lock>> {
        let Ok(here) = self.queue(name).try_lock_owned() else { return Ok(None) };
        Ok(self.state.lease(name).await?.map(|lease| Lock { _lease: lease, _here: here }))
    }

    /// Waits for it, `None` when `patience` ends first. Cancel safe.
    pub(super) async fn lock(&self, name: &str, patience: Duration) -> Result<Option<Lock>> {
        let until = self.clock.monotonic().saturating_add(patience);
        let here = tokio::select! {
            biased;
            here = self.queue(name).lock_owned() => here,
            () = self.clock.sleep(patience) => return Ok(None),
        };
        loop {
            if let Some(lease) = self.state.lease(name).await? {
                return Ok(Some(Lock { _lease: lease, _here: here }));
            }
            if self.clock.monotonic() >= until {
                return Ok(None);
            }
            self.clock.sleep(ASK_AGAIN).await;
        }
    }
}
