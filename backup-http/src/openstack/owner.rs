//! Which process works on a record, so that the next one knows what nobody works on any more.

use std::sync::Arc;

use backup_core::error::codes;
use backup_core::lease::Lease;
use backup_core::state::State;
use backup_core::{Error, Result};

/// Processes on one state at most.
const SLOTS: u32 = 64;

/// The place of this process among those on its state, held as long as it lives.
#[derive(Debug)]
pub(super) struct Owner {
    state: Arc<dyn State>,
    slot: u32,
    /// The text in records: the slot, and how many had it before.
    name: String,
    _lease: Box<dyn Lease>,
}

fn lease_name(slot: u32) -> String {
    format!("openstack/process/{slot}")
}

impl Owner {
    pub(super) async fn take(state: Arc<dyn State>) -> Result<Self> {
        for slot in 0..SLOTS {
            if let Some(lease) = state.lease(&lease_name(slot)).await? {
                let name = format!("{slot}-{}", lease.generation());
                return Ok(Self { state, slot, name, _lease: lease });
            }
        }
        Err(Error::new(&codes::LEASE_BUSY, format!("{SLOTS} processes use this state already, which is the limit")))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether that process may still be there. Its own later self answers for a slot that was taken again.
    pub(super) async fn is_alive(&self, name: &str) -> Result<bool> {
        let slot = name.split_once('-').and_then(|(slot, _)| slot.parse::<u32>().ok());
        match slot {
            None => Ok(false),
            Some(slot) if slot == self.slot => Ok(name == self.name),
            Some(slot) => Ok(self.state.lease(&lease_name(slot)).await?.is_none()),
        }
    }
}
