use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Compressors between two chunks. Setting one up costs more than compressing a small chunk, so they are used again; there are
/// never more than threads that encode at the same time, and they go with the encoder.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(super) fn put(&self, idle: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}
