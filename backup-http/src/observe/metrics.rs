//! The registry: what is counted while it happens, and what is looked up when somebody asks.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use backup_core::service::{Health, JobKind, JobObserver, JobRecord, SetHealth};
use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::calls::{CallFamilies, RemoteCall};
use super::http::HttpFamilies;
use super::jobs::{CountedJob, JobFamilies, Others};

/// The metrics of a process. Cheap to clone; clones are the same metrics.
///
/// # Behavior
/// All names begin with `backup_`. Labels have few values: kinds and outcomes of jobs, the sets that the service looks after,
/// route patterns (never a path), methods, status codes, operations of remote services. It is a [`JobObserver`]; [`Metrics::http`] is the layer that
/// measures requests.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    jobs: JobFamilies,
    others: Others,
    calls: CallFamilies,
    http: HttpFamilies,
    now: Now,
}

/// What is set anew each time somebody asks.
#[derive(Default)]
struct Now {
    running: Gauge,
    queued: Gauge,
    sets: SetFamilies,
}

#[derive(Default)]
struct SetFamilies {
    backup_at: Family<SetLabel, Gauge>,
    backup_age: Family<SetLabel, Gauge>,
    verified_at: Family<SetLabel, Gauge>,
    verified_age: Family<SetLabel, Gauge>,
    next: Family<SetLabel, Gauge>,
    met: Family<SetLabel, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SetLabel {
    set: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabel {
    program: String,
    version: String,
}

impl Metrics {
    /// The metrics of a program of that name and version.
    pub fn new(program: &str, version: &str) -> Self {
        let mut registry = Registry::with_prefix("backup");
        let build = Family::<BuildLabel, Gauge>::default();
        registry.register("build_info", "The program; always 1", build.clone());
        build.get_or_create(&BuildLabel { program: program.into(), version: version.into() }).set(1);
        let now = Now::default();
        now.register(&mut registry);
        let jobs = JobFamilies::registered(&mut registry);
        let calls = CallFamilies::registered(&mut registry);
        let http = HttpFamilies::registered(&mut registry);
        Self(Arc::new(Inner { registry: Mutex::new(registry), jobs, others: Others::default(), calls, http, now }))
    }

    /// Lets a program register metrics of its own; their names begin with `backup_`, too.
    pub fn register(&self, registering: impl FnOnce(&mut Registry)) {
        registering(&mut self.0.registry.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The layer that measures requests; see [`HttpMetrics`](super::HttpMetrics).
    pub fn http(&self) -> super::HttpMetrics {
        super::HttpMetrics::new(self.0.http.clone())
    }

    /// Counts a call to a remote service, a store's above all.
    pub fn remote_call(&self, call: &RemoteCall<'_>) {
        self.0.calls.ended(call);
    }

    /// Counts a job that is none of the service's, from now on.
    #[must_use]
    pub fn job(&self, kind: JobKind) -> CountedJob {
        CountedJob::new(self.clone(), kind)
    }

    pub(super) fn jobs(&self) -> &JobFamilies {
        &self.0.jobs
    }

    pub(super) fn others(&self) -> &Others {
        &self.0.others
    }

    /// OpenMetrics text, with what the service says of itself: running and queued jobs, and health.
    pub(super) fn text(&self, service: Option<((usize, usize), Health)>) -> String {
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(((running, queued), health)) = service {
            let others =
                |count: &std::sync::atomic::AtomicI64| usize::try_from(count.load(Ordering::Relaxed)).unwrap_or_default();
            let (running, queued) = (running + others(&self.0.others.running), queued + others(&self.0.others.queued));
            self.0.now.update(running, queued, &health);
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl JobObserver for Metrics {
    fn changed(&self, job: &JobRecord) {
        self.0.jobs.changed(job);
    }
}

impl Now {
    fn register(&self, registry: &mut Registry) {
        registry.register("jobs_running", "Jobs that run", self.running.clone());
        registry.register("jobs_queued", "Jobs that wait for their turn", self.queued.clone());
        let sets = &self.sets;
        for (name, help, family) in [
            ("last_success_timestamp_seconds", "When the source last stood as the newest good backup says", &sets.backup_at),
            ("age_seconds", "The age of that", &sets.backup_age),
            ("last_verified_timestamp_seconds", "When a backup of the set was last verified and found good", &sets.verified_at),
            ("verified_age_seconds", "The age of that", &sets.verified_age),
            ("next_timestamp_seconds", "When the schedule makes the next backup", &sets.next),
            ("objective_met", "Whether the set meets its declared objective: 1 or 0", &sets.met),
        ] {
            registry.register(name, help, family.clone());
        }
    }

    fn update(&self, running: usize, queued: usize, health: &Health) {
        self.running.set(i64::try_from(running).unwrap_or(i64::MAX));
        self.queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
        for set in &health.sets {
            self.sets.update(set);
        }
    }
}

impl SetFamilies {
    fn update(&self, health: &SetHealth) {
        let label = SetLabel { set: health.set.to_string() };
        let seconds = |age: u64| i64::try_from(age).unwrap_or(i64::MAX);
        let at = |time: DateTime<Utc>| time.timestamp();
        for (family, value) in [
            (&self.backup_at, health.last_backup_at.map(at)),
            (&self.backup_age, health.last_backup_age.map(seconds)),
            (&self.verified_at, health.last_verified_at.map(at)),
            (&self.verified_age, health.last_verified_age.map(seconds)),
            (&self.next, health.next_backup_at.map(at)),
            (&self.met, Some(i64::from(health.met))),
        ] {
            match value {
                Some(value) => {
                    family.get_or_create(&label).set(value);
                }
                // No backup is no number; an alert on absence sees it.
                None => {
                    family.remove(&label);
                }
            }
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
