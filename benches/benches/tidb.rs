//! Micro-benches of the TiDB dialect: a page of the list with 100,000 records, and the scheduler with 1,000 strategies.
//!
//! The state is in memory: what is measured is the dialect, not a disk.

#![allow(clippy::unwrap_used, reason = "a bench that cannot run shall stop")]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use backup_core::schedule::{Action, Fire, Fired, Schedule, Scheduler, Trigger, Weekdays};
use backup_core::state::{Expected, State};
use backup_core::store::ExternalLocation;
use backup_core::testkit::{MemoryState, SeededRandom, SimStore, VirtualClock};
use backup_core::{
    BackupService, Bytes, Environment, Error, JobContext, JobId, Probe, Repository, Result, SetName, Sink, Source, Summary, Zone,
    async_trait,
};
use backup_http::tidb::{self, Cluster, Role, TidbBackup, Token};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use criterion::Criterion;
use serde_json::json;
use tower::ServiceExt;

const RECORDS: u64 = 100_000;
const STRATEGIES: usize = 1_000;
const TOKEN: &str = "token-of-the-bench";

#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Cluster for Nothing {
    fn id(&self) -> &str {
        "cluster-7"
    }

    fn name(&self) -> &str {
        "none"
    }

    fn full(&self) -> Arc<dyn Source> {
        Arc::new(Self)
    }

    fn incremental(&self, _: u64) -> Arc<dyn Source> {
        Arc::new(Self)
    }

    async fn gc_safe_point(&self, _: &JobContext) -> Result<Option<u64>> {
        Ok(None)
    }

    fn gc_passed(&self, _: &Error) -> bool {
        false
    }

    async fn end_leftovers(&self, _: &JobContext, _: &ExternalLocation) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Source for Nothing {
    fn kind(&self) -> &str {
        "nothing"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    async fn capture(&self, _: &JobContext, _: &dyn Sink) -> Result<Summary> {
        Ok(Summary::default())
    }
}

fn clock() -> (Arc<VirtualClock>, Environment) {
    let clock = Arc::new(VirtualClock::new("2026-11-21T09:30:00Z".parse().unwrap()));
    let environment = Environment::new(clock.clone(), Arc::new(SeededRandom::new(1)));
    (clock, environment)
}

/// As the dialect keeps them.
async fn fill(state: &MemoryState) {
    let first: DateTime<Utc> = "2022-04-28T08:00:00Z".parse().unwrap();
    for number in 0..RECORDS {
        let at = first + TimeDelta::minutes(number as i64);
        let id = BASE64_URL_SAFE_NO_PAD.encode(u128::from(number).to_be_bytes());
        let cluster = format!("cluster-{}", number % 100);
        let record = json!({
            "id": id, "cluster": cluster, "kind": "full", "mode": "auto", "status": "Finished",
            "directory": "2022-04-28-16-00-41-full", "path": format!("nfs/em/backup/{cluster}/2022-04-28-16-00-41-full"),
            "size": 123_456_789, "tso": 432_834_567_783_317_505_u64,
            "started_at": at, "ended_at": at, "created_at": at, "updated_at": at, "backup": null,
        });
        let key = format!("tidb/records/{:020}-{id}", at.timestamp_nanos_opt().unwrap());
        let stored = state.compare_and_set(&key, Expected::Absent, Some(Bytes::from(record.to_string()))).await.unwrap();
        assert!(stored);
    }
}

async fn app(state: MemoryState) -> Router {
    let (clock, environment) = clock();
    let state: Arc<dyn State> = Arc::new(state);
    let repository = Repository::builder(Arc::new(SimStore::new(clock))).environment(environment.clone()).build();
    let service = BackupService::builder(Arc::clone(&state)).environment(environment.clone()).start().await.unwrap();
    let builder = TidbBackup::builder(service, repository, state).environment(environment);
    let cluster: Arc<dyn Cluster> = Arc::new(Nothing);
    let dialect = builder.clusters([cluster]).tokens([Token::new(TOKEN, "bench", Role::Admin)]).start().await.unwrap();
    tidb::router(dialect)
}

async fn page(app: &Router, query: &str) -> usize {
    let request = Request::get(format!("/api/v1/backups/?{query}")).header("authorization", format!("Bearer {TOKEN}"));
    let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap().len()
}

fn pages(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(async {
        let state = MemoryState::new();
        fill(&state).await;
        app(state).await
    });
    let mut group = criterion.benchmark_group("list of 100,000 records");
    for (name, query) in [
        ("first page", "page=1&pageSize=10"),
        ("last page", "page=10000&pageSize=10"),
        ("page of a cluster", "clusterId=cluster-7&page=2&pageSize=30"),
        ("1,000 records", "pageSize=1000"),
    ] {
        group.bench_function(name, |bench| bench.iter(|| runtime.block_on(page(&app, query))));
    }
    group.finish();
}

/// Accepts everything.
struct Accepting;

#[async_trait]
impl Fire for Accepting {
    async fn fire(&self, _: &Schedule, _: &JobId) -> Result<Fired> {
        Ok(Fired::Accepted)
    }

    async fn knows(&self, _: &JobId) -> Result<bool> {
        Ok(false)
    }
}

fn ticks(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (clock, environment) = clock();
    let scheduler = runtime.block_on(async {
        let scheduler = Scheduler::start(Arc::new(MemoryState::new()), environment, Arc::new(Accepting));
        for number in 0..STRATEGIES {
            let (start, end) = ("22:00".parse().unwrap(), "24:00".parse().unwrap());
            let trigger = Trigger::Windows { days: Weekdays::ALL, start, end, zone: Zone::UTC };
            let set = SetName::new(format!("cluster-{number}")).unwrap();
            scheduler.set(Schedule::new(format!("tidb/cluster-{number}"), set, Action::Backup, trigger)).unwrap();
        }
        clock.pass(Duration::from_secs(1)).await;
        scheduler
    });
    let mut group = criterion.benchmark_group("scheduler with 1,000 strategies");
    // A clock of the test that passes: two looks of the scheduler, and what the test itself needs.
    group.bench_function("a minute in which nothing is due", |bench| {
        bench.iter(|| runtime.block_on(clock.pass(Duration::from_secs(60))));
    });
    group.finish();
    runtime.block_on(scheduler.stop());
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    pages(&mut criterion);
    ticks(&mut criterion);
    criterion.final_summary();
}
