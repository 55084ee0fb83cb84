//! What is counted when a job ends.

use backup_core::service::JobRecord;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

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
    ended: Family<Ended, Counter>,
    durations: Family<Kind, Histogram>,
    bytes: Family<Kind, Counter>,
    retention_failures: Counter,
}

impl JobFamilies {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let families = Self {
            ended: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            bytes: Family::default(),
            retention_failures: Counter::default(),
        };
        registry.register("jobs", "Jobs that ended", families.ended.clone());
        registry.register("job_duration_seconds", "How long jobs ran, without waiting", families.durations.clone());
        registry.register("job_bytes", "Bytes that ended jobs moved", families.bytes.clone());
        let failures = "Backups after which retention failed; the backups are there";
        registry.register("retention_failures", failures, families.retention_failures.clone());
        families
    }

    pub(super) fn changed(&self, job: &JobRecord) {
        if !job.state.is_over() {
            return;
        }
        let kind = Kind { kind: job.kind.as_str() };
        self.ended.get_or_create(&Ended { kind: kind.kind, outcome: job.state.as_str() }).inc();
        self.bytes.get_or_create(&kind).inc_by(job.bytes_done);
        if let (Some(started), Some(ended)) = (job.started_at, job.ended_at) {
            let seconds = (ended - started).to_std().unwrap_or_default().as_secs_f64();
            self.durations.get_or_create(&kind).observe(seconds);
        }
        if job.retention_error.is_some() {
            self.retention_failures.inc();
        }
    }
}
