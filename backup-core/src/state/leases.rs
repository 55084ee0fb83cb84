//! Leases that outlive a process, on a [`State`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::State;
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::lease::{Lease, Leases, LocalLeases};
use crate::name::SetName;

/// How often a lease that another process holds is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Leases on a [`State`]: their generations go on counting after a restart, and several processes that share a state share them.
#[derive(Debug)]
pub struct StateLeases {
    state: Arc<dyn State>,
    /// The queue within this process: first come, first served, without asking the state again and again.
    here: LocalLeases,
}

impl StateLeases {
    /// Leases that `state` keeps.
    pub fn new(state: Arc<dyn State>) -> Self {
        Self { state, here: LocalLeases::default() }
    }
}

#[async_trait]
impl Leases for StateLeases {
    async fn acquire(&self, cx: &JobContext, set: &SetName, wait: bool) -> Result<Box<dyn Lease>> {
        let here = self.here.acquire(cx, set, wait).await?;
        let name = format!("set/{set}");
        loop {
            if let Some(lease) = self.state.lease(&name).await? {
                return Ok(Box::new(StateLease { lease, _here: here }));
            }
            if !wait {
                return Err(Error::new(&codes::LEASE_BUSY, format!("another process works on the backup set {set}")));
            }
            cx.sleep(ASK_AGAIN).await?;
        }
    }
}

/// The state's lease is given back first, then the place in this process's queue.
struct StateLease {
    lease: Box<dyn Lease>,
    _here: Box<dyn Lease>,
}

#[async_trait]
impl Lease for StateLease {
    fn generation(&self) -> u64 {
        self.lease.generation()
    }

    async fn still_held(&self) -> Result<()> {
        self.lease.still_held().await
    }
}

impl fmt::Debug for StateLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.lease, f)
    }
}
