//! What is counted when a job begins and when it ends.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use backup_core::service::{JobKind, JobRecord, JobState};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Metrics;

/// Seconds: from a small file to a night.
const DURATIONS: [f64; 12] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 10_800.0, 36_000.0, 86_400.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

pub(super) struct JobFamilies {
    started: Family<Kind, Counter>,
    ended: Family<Ended, Counter>,
    durations: Family<Kind, Histogram>,
    bytes: Family<Kind, Counter>,
    retention_failures: Counter,
}

impl JobFamilies {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let families = Self {
            started: Family::default(),
            ended: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            bytes: Family::default(),
            retention_failures: Counter::default(),
        };
        registry.register("jobs_started", "Jobs that began to run", families.started.clone());
        registry.register("jobs", "Jobs that ended", families.ended.clone());
        registry.register("job_duration_seconds", "How long jobs ran, without waiting", families.durations.clone());
        registry.register("job_bytes", "Bytes that ended jobs moved", families.bytes.clone());
        let failures = "Backups after which retention failed; the backups are there";
        registry.register("retention_failures", failures, families.retention_failures.clone());
        families
    }

    pub(super) fn changed(&self, job: &JobRecord) {
        if job.state == JobState::Running {
            self.started(job.kind);
        }
        if !job.state.is_over() {
            return;
        }
        let took = job.started_at.zip(job.ended_at).map(|(started, ended)| (ended - started).to_std().unwrap_or_default());
        self.ended(job.kind, job.state, took, job.bytes_done);
        if job.retention_error.is_some() {
            self.retention_failures.inc();
        }
    }

    fn started(&self, kind: JobKind) {
        self.started.get_or_create(&Kind { kind: kind.as_str() }).inc();
    }

    fn ended(&self, kind: JobKind, outcome: JobState, took: Option<Duration>, bytes: u64) {
        let kind = Kind { kind: kind.as_str() };
        self.ended.get_or_create(&Ended { kind: kind.kind, outcome: outcome.as_str() }).inc();
        self.bytes.get_or_create(&kind).inc_by(bytes);
        if let Some(took) = took {
            self.durations.get_or_create(&kind).observe(took.as_secs_f64());
        }
    }
}

/// How many jobs there are now that are not the service's own.
#[derive(Debug, Default)]
pub(super) struct Others {
    pub(super) running: AtomicI64,
    pub(super) queued: AtomicI64,
}

/// A job of a dialect that keeps its jobs itself, counted like those of the service. It counts as queued until it has
/// [started](CountedJob::started), and no longer when it is dropped.
#[derive(Debug)]
pub struct CountedJob {
    metrics: Metrics,
    kind: JobKind,
    started: bool,
}

impl CountedJob {
    pub(super) fn new(metrics: Metrics, kind: JobKind) -> Self {
        metrics.others().queued.fetch_add(1, Ordering::Relaxed);
        Self { metrics, kind, started: false }
    }

    /// It runs now.
    pub fn started(&mut self) {
        if !std::mem::replace(&mut self.started, true) {
            self.metrics.others().queued.fetch_sub(1, Ordering::Relaxed);
            self.metrics.others().running.fetch_add(1, Ordering::Relaxed);
            self.metrics.jobs().started(self.kind);
        }
    }

    /// It has ended like this; `took` is how long it ran, if it did, and `bytes` what it moved.
    pub fn ended(self, outcome: JobState, took: Option<Duration>, bytes: u64) {
        self.metrics.jobs().ended(self.kind, outcome, took, bytes);
    }
}

impl Drop for CountedJob {
    fn drop(&mut self) {
        let others = self.metrics.others();
        let counted = if self.started { &others.running } else { &others.queued };
        counted.fetch_sub(1, Ordering::Relaxed);
    }
}
