//! An HTTP client on [`Calls`]: every driver that speaks HTTP sends through it.

mod body;
mod failure;
mod options;
mod pieces;
mod send;
mod streamed;
#[cfg(test)]
mod tests;

use std::fmt;

use backup_core::Result;
pub use http;

pub use body::Body;
pub use options::HttpOptions;
pub use send::{made_again, unsettled};
pub use streamed::Streamed;

use crate::Calls;

/// The client. Cheap to clone; clones share connections and limits.
///
/// Speaks HTTP/1.1, follows no redirects, takes no proxy from the environment or the system, and gives bodies as they were sent (it
/// decompresses nothing).
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    calls: Calls,
}

impl Http {
    /// A client that makes `calls`.
    ///
    /// # Errors
    /// `remote.config` when a file of certificates cannot be used.
    pub fn new(calls: Calls, options: &HttpOptions) -> Result<Self> {
        Ok(Self { client: options.client(calls.limits())?, calls })
    }

    /// The calls that it makes.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("calls", &self.calls).finish_non_exhaustive()
    }
}
