//! Calls to a remote store, in the metrics of the server.

use backup_http::observe::{Metrics, RemoteCall};
use backup_remote::{CallObserver, CallRecord};

/// Tells the metrics how each call ended.
#[derive(Debug)]
pub(crate) struct MeasuredCalls(pub(crate) Metrics);

impl CallObserver for MeasuredCalls {
    fn ended(&self, call: &CallRecord<'_>) {
        let measured = RemoteCall::new(call.service, call.operation, call.failed);
        self.0.remote_call(&measured.attempts(call.attempts, call.elapsed).bytes(call.bytes));
    }
}
