//! What a service is doing: jobs, schedules and leases, in a small key-value store.
//!
//! Which backups exist is never state: the store knows that alone, and losing the state loses no backup.

mod leases;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Result;
use crate::lease::Lease;

pub use leases::StateLeases;

/// A small, ordered key-value store: some thousand values of some KiB each.
///
/// Keys are text of at most 500 bytes, ordered by their bytes. Every change is durable when the call returns, and applied whole or not at
/// all.
#[async_trait]
pub trait State: Send + Sync + fmt::Debug + 'static {
    /// The value of `key`, `None` when there is none.
    ///
    /// # Errors
    /// Those of the medium (`state.*`).
    async fn get(&self, key: &str) -> Result<Option<Entry>>;

    /// Changes the value of `key` if it is as `expected`: `Some` stores, `None` removes. False, and nothing done, when it is otherwise.
    ///
    /// # Errors
    /// Those of the medium. The effect says whether the change may have happened.
    ///
    /// # Cancel safety
    /// A dropped call may or may not have made its change.
    async fn compare_and_set(&self, key: &str, expected: Expected, value: Option<Bytes>) -> Result<bool>;

    /// At most `limit` entries whose keys begin with `prefix` and come after `after`, in the order of keys.
    ///
    /// # Errors
    /// Those of the medium.
    async fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>>;

    /// Takes the exclusive right called `name`, `None` when somebody holds it. It is given back when the lease is dropped, and
    /// falls to the next one when its holder died. Its generation grows with each holder, also over restarts.
    ///
    /// # Errors
    /// Those of the medium.
    async fn lease(&self, name: &str) -> Result<Option<Box<dyn Lease>>>;
}

/// A value with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Changes with every change of the value, and never comes back.
    pub version: u64,
    /// The value.
    pub value: Bytes,
}

/// What a value must be for a change to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Any,
    /// Not there.
    Absent,
    /// At this version.
    Version(u64),
}

impl Expected {
    /// Whether a value of this version, `None` for none, is what is expected.
    pub fn holds(self, version: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => version.is_none(),
            Self::Version(expected) => version == Some(expected),
        }
    }
}
