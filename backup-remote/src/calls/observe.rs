//! What metrics hear of calls.

use std::fmt;
use std::time::Duration;

use backup_core::ErrorKind;

/// Hears how each call ended. Called from the caller's task: it returns at once and does not block.
pub trait CallObserver: Send + Sync + fmt::Debug + 'static {
    /// A call ended.
    fn ended(&self, call: &CallRecord<'_>);
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CallRecord<'a> {
    /// The service's name.
    pub service: &'a str,
    /// The operation, in the service's own word.
    pub operation: &'static str,
    /// The class of the failure, `None` when it went well. A call that was dropped is cancelled.
    pub failed: Option<ErrorKind>,
    /// How many attempts it took; 0 when it ended in the queue.
    pub attempts: u32,
    /// From the first wait to the end.
    pub elapsed: Duration,
    /// Bytes that it sent, in one attempt.
    pub bytes: u64,
}
