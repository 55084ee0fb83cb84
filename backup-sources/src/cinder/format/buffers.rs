//! The memory of a backup: a few buffers, used again and again.

use std::sync::{Arc, Mutex, PoisonError};

use backup_core::error::codes;
use backup_core::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A few buffers of one size. Clones are the same buffers.
#[derive(Debug, Clone)]
pub(super) struct Buffers {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Vec<u8>>>>,
    size: usize,
}

/// A buffer, with whatever was left in it. Dropped, it goes back.
#[derive(Debug)]
pub(super) struct Buffer {
    data: Vec<u8>,
    idle: Arc<Mutex<Vec<Vec<u8>>>>,
    _permit: OwnedSemaphorePermit,
}

impl Buffers {
    pub(super) fn new(count: usize, size: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(count)), idle: Arc::default(), size }
    }

    /// Waits for a buffer, in the order of the calls. Cancel safe.
    ///
    /// # Errors
    /// `internal.error`.
    pub(super) async fn take(&self) -> Result<Buffer> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|error| Error::new(&codes::INTERNAL, "the buffers are gone").with_source(error))?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Buffer { data: idle.unwrap_or_else(|| vec![0; self.size]), idle: Arc::clone(&self.idle), _permit: permit })
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // Before the permit is given back: whoever takes it finds this.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.data));
    }
}
