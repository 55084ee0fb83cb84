//! Calls to remote services, in the metrics of the server.

use std::sync::Arc;

use backup_http::observe::{Metrics, RemoteCall};
use backup_remote::{CallObserver, CallRecord};

/// Tells the metrics how each call ended.
#[derive(Debug)]
pub(crate) struct MeasuredCalls(Metrics);

impl MeasuredCalls {
    pub(crate) fn shared(metrics: &Metrics) -> Arc<dyn CallObserver> {
        Arc::new(Self(metrics.clone()))
    }
}

impl CallObserver for MeasuredCalls {
    fn ended(&self, call: &CallRecord<'_>) {
        let measured = RemoteCall::new(call.service, call.operation, call.failed);
        self.0.remote_call(&measured.attempts(call.attempts, call.elapsed).bytes(call.bytes));
    }
}

/// The metrics of a program of this crate.
pub(crate) fn metrics(program: &'static str) -> Metrics {
    Metrics::new(program, env!("CARGO_PKG_VERSION"))
}
