//! What is counted when a call to a remote service ends.

use std::time::Duration;

use backup_core::ErrorKind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds: from an answer out of a cache to an upload on a slow line with all its repetitions.
const DURATIONS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];

/// A call to a remote service that ended.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RemoteCall<'a> {
    /// The service's name.
    pub service: &'a str,
    /// The operation, in the service's own word; of few, and never with a name of somebody's in it.
    pub operation: &'static str,
    /// The class of the failure, `None` when it went well.
    pub failed: Option<ErrorKind>,
    /// How often it was attempted.
    pub attempts: u32,
    /// From the first wait to the end.
    pub elapsed: Duration,
    /// Bytes that one attempt sends.
    pub bytes: u64,
}

impl<'a> RemoteCall<'a> {
    /// A call that ended so, at once and without an attempt.
    pub fn new(service: &'a str, operation: &'static str, failed: Option<ErrorKind>) -> Self {
        Self { service, operation, failed, attempts: 0, elapsed: Duration::ZERO, bytes: 0 }
    }

    /// Sets [`RemoteCall::attempts`] and the time that they took with all waits.
    #[must_use]
    pub fn attempts(mut self, attempts: u32, elapsed: Duration) -> Self {
        (self.attempts, self.elapsed) = (attempts, elapsed);
        self
    }

    /// Sets [`RemoteCall::bytes`].
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    service: String,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    service: String,
    operation: &'static str,
}

pub(super) struct CallFamilies {
    ended: Family<Ended, Counter>,
    attempts: Family<Operation, Counter>,
    durations: Family<Operation, Histogram>,
    bytes: Family<Operation, Counter>,
}

impl CallFamilies {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let families = Self {
            ended: Family::default(),
            attempts: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            bytes: Family::default(),
        };
        registry.register("remote_calls", "Calls to remote services that ended", families.ended.clone());
        registry.register("remote_call_attempts", "Attempts of those, repetitions included", families.attempts.clone());
        let durations = "How long they took with all waits and repetitions, until the head of an answer whose body is read later";
        registry.register("remote_call_duration_seconds", durations, families.durations.clone());
        registry.register("remote_call_sent_bytes", "Bytes that calls sent, every attempt counted", families.bytes.clone());
        families
    }

    pub(super) fn ended(&self, call: &RemoteCall<'_>) {
        let operation = Operation { service: call.service.to_owned(), operation: call.operation };
        let outcome = call.failed.map_or("ok", outcome);
        self.ended.get_or_create(&Ended { service: call.service.to_owned(), operation: call.operation, outcome }).inc();
        self.attempts.get_or_create(&operation).inc_by(call.attempts.into());
        self.durations.get_or_create(&operation).observe(call.elapsed.as_secs_f64());
        self.bytes.get_or_create(&operation).inc_by(call.bytes.saturating_mul(call.attempts.into()));
    }
}

fn outcome(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidInput => "invalid_input",
        ErrorKind::NotFound => "not_found",
        ErrorKind::AlreadyExists => "already_exists",
        ErrorKind::PermissionDenied => "permission_denied",
        ErrorKind::NoSpace => "no_space",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Source => "source",
        ErrorKind::Internal => "internal",
        _ => "other",
    }
}
