//! Work beside the caller's.

use backup_core::error::codes;
use backup_core::{Effect, Error, Result};
use tokio::task::JoinHandle;

/// A task that ends when nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Task<T>(JoinHandle<Result<T>>);

impl<T: Send + 'static> Task<T> {
    pub(super) fn spawn(work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    pub(super) async fn wait(mut self) -> Result<T> {
        (&mut self.0).await.unwrap_or_else(|error| {
            let text = "a task of the nfs store panicked, or the runtime is shutting down";
            Err(Error::new(&codes::INTERNAL, text).with_effect(Effect::Unknown).with_source(error))
        })
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
