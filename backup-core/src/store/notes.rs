//! What a writer would leave behind, noted outside of the store.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;

/// Hears of the uploads that a writer begins, before it sends their first byte: for stores that are another's, where nothing of ours is
/// swept. What was noted is given to [`Store::give_up`](super::Store::give_up) by whoever finds it after a crash.
#[async_trait]
pub trait UploadNotes: Send + Sync + fmt::Debug + 'static {
    /// Keeps the name of an upload, durably.
    ///
    /// # Errors
    /// Any error fails the write: what cannot be noted is not begun, or given up at once.
    async fn began(&self, upload: &str) -> Result<()>;
}
