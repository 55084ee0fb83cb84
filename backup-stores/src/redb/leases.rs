//! Leases within the one process that can have the state file open.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backup_core::lease::Lease;
use backup_core::{Result, async_trait};

/// The names of the leases that are held.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(Arc<Mutex<HashSet<String>>>);

/// The right to one name, given back when dropped.
#[derive(Debug)]
pub(super) struct Right {
    name: String,
    held: Held,
}

impl Held {
    /// Takes `name`, `None` when somebody has it.
    pub(super) fn take(&self, name: &str) -> Option<Right> {
        self.locked().insert(name.to_owned()).then(|| Right { name: name.to_owned(), held: self.clone() })
    }

    fn locked(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Right {
    /// The lease, once its generation is in the file.
    pub(super) fn of_generation(self, generation: u64) -> RedbLease {
        RedbLease { generation, _right: self }
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        self.held.locked().remove(&self.name);
    }
}

/// A lease. It is lost only with the process: nobody else can open the file before.
#[derive(Debug)]
pub(super) struct RedbLease {
    generation: u64,
    _right: Right,
}

#[async_trait]
impl Lease for RedbLease {
    fn generation(&self) -> u64 {
        self.generation
    }

    async fn still_held(&self) -> Result<()> {
        Ok(())
    }
}
