//! How much a service takes on.

use std::time::Duration;

/// How much a service takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Jobs that run at the same time, of all sets.
    pub running: usize,
    /// Jobs that wait for that.
    pub queued: usize,
    /// How long a finished job stays listed.
    pub keep_finished: Duration,
    /// Bytes of memory for all that is read outside of jobs; an open stream takes 12 MiB at most.
    pub read_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { running: 4, queued: 1000, keep_finished: Duration::from_secs(7 * 24 * 3600), read_memory: 128 << 20 }
    }
}

impl Limits {
    /// Sets how many jobs run at the same time.
    #[must_use]
    pub fn running(mut self, jobs: usize) -> Self {
        self.running = jobs;
        self
    }

    /// Sets how many jobs may wait.
    #[must_use]
    pub fn queued(mut self, jobs: usize) -> Self {
        self.queued = jobs;
        self
    }

    /// Sets the memory of readers.
    #[must_use]
    pub fn read_memory(mut self, bytes: u64) -> Self {
        self.read_memory = bytes;
        self
    }

    /// Sets how long a finished job stays listed.
    #[must_use]
    pub fn keep_finished(mut self, time: Duration) -> Self {
        self.keep_finished = time;
        self
    }
}
