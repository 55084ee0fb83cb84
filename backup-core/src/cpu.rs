//! The one pool on which hashing and compression run.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::error::{Error, Result, codes};

/// A bounded number of threads for hashing and compression, shared by all jobs of a repository. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CpuPool {
    /// `None` runs everything where it is called.
    permits: Option<Arc<Semaphore>>,
    threads: usize,
}

impl CpuPool {
    /// A pool of `threads` threads.
    pub fn new(threads: NonZeroUsize) -> Self {
        Self { permits: Some(Arc::new(Semaphore::new(threads.get()))), threads: threads.get() }
    }

    /// No threads: work runs on the caller's, so that a simulation goes the same way each time.
    pub fn inline() -> Self {
        Self { permits: None, threads: 1 }
    }

    /// How many pieces of work run at the same time.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on a thread of the pool. Cancel safe: work that began runs to its end, its result is dropped.
    ///
    /// # Errors
    /// `internal.error` when `work` panicked or the runtime is shutting down.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let Some(permits) = &self.permits else { return Ok(work()) };
        let permit = Arc::clone(permits).acquire_owned().await;
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        task.await.map_err(|error| Error::new(&codes::INTERNAL, "work on the CPU pool did not end").with_source(error))
    }
}

impl Default for CpuPool {
    /// As many threads as the machine offers.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }
}
