//! Cancel and deadline in every phase: nothing visible, nothing left, and the right error.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::time::Duration;

use backup_core::repository::{BackupOutcome, VerifyLevel};
use backup_core::source::{Probe, Sink, Source, Summary};
use backup_core::testkit::{Fault, FaultPlan, FaultRule, Op, OpKind};
use backup_core::{Bytes, ErrorKind, JobContext, Result, async_trait};
use support::{Data, World, bytes};

fn data() -> Data {
    Data::new(&[("a", bytes(3_000_000, 1)), ("b", vec![3; 10])])
}

/// Cancels the job at the n-th operation of its store; what came of it.
async fn cancelled_at(world: &World, n: u64) -> Result<BackupOutcome> {
    let cx = world.cx();
    let job = {
        let (repository, cx, request) = (world.repository.clone(), cx.clone(), world.request());
        tokio::spawn(async move { repository.backup(&cx, &data(), &request).await })
    };
    while !job.is_finished() {
        if world.store.op_count() >= n {
            cx.cancel_token().cancel();
        }
        tokio::task::yield_now().await;
    }
    job.await.unwrap()
}

#[tokio::test]
async fn a_cancel_at_any_operation_publishes_nothing_or_comes_too_late() {
    let whole = World::new(1);
    whole.store.set_jitter(1);
    whole.repository.backup(&whole.cx(), &data(), &whole.request()).await.unwrap();
    let mut cancelled = 0;
    for n in 0..=whole.store.op_count() {
        let world = World::new(1);
        world.store.set_jitter(n);
        match cancelled_at(&world, n).await {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Cancelled, "operation {n}: {error}");
                assert_eq!(world.store.keys(), Vec::<String>::new(), "operation {n}");
                assert_eq!(world.store.unfinished(), 0, "operation {n}");
                cancelled += 1;
            }
            Ok(_) => assert_eq!(world.restore_all().await, vec![data().content()], "operation {n}"),
        }
    }
    assert!(cancelled > 5, "only {cancelled} of the cancels came in time");
}

/// Writes a little and then waits for ever, unless it is cancelled.
#[derive(Debug)]
struct Stuck;

#[async_trait]
impl Source for Stuck {
    fn kind(&self) -> &str {
        "stuck"
    }
    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }
    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let mut writer = sink.artifact(&"a".parse()?, Default::default()).await?;
        writer.write(Bytes::from(bytes(2_000_000, 1))).await?;
        cx.run(std::future::pending::<Result<()>>()).await?;
        Ok(Summary::default())
    }
}

#[tokio::test]
async fn a_deadline_ends_a_source_that_hangs_and_leaves_nothing() {
    let world = World::new(2);
    let cx = world.cx().with_limit(Duration::from_secs(7200));
    let job = {
        let (repository, request) = (world.repository.clone(), world.request());
        tokio::spawn(async move { repository.backup(&cx, &Stuck, &request).await })
    };
    while !job.is_finished() {
        world.clock.pass(Duration::from_secs(60)).await;
    }
    let error = job.await.unwrap().unwrap_err();
    assert_eq!(error.code().name, "job.deadline");
    assert_eq!(world.store.keys(), Vec::<String>::new());
    assert_eq!(world.store.unfinished(), 0);
    let renewals =
        world.store.trace().iter().filter(|op| op.kind == OpKind::Put && op.key.starts_with(".backup/intents/")).count();
    assert!(renewals >= 5, "two hours need renewals of an intent of one hour; there were {renewals} puts");
}

#[tokio::test]
async fn a_publisher_that_sleeps_past_the_janitor_loses_and_breaks_nothing() {
    let world = World::new(3);
    let sleep = Duration::from_secs(24 * 3600);
    let publish = |op: OpKind| FaultRule::new(Fault::SleepPast(sleep)).on([op]).key(|key: &str| key.starts_with(".backup/sets/"));
    world.store.set_faults(FaultPlan::seeded(1).rule(publish(OpKind::Put).first(1)));
    let job = {
        let (repository, cx, request) = (world.repository.clone(), world.cx(), world.request());
        tokio::spawn(async move { repository.backup(&cx, &data(), &request).await })
    };
    let sleeps = |op: &Op| op.kind == OpKind::Put && op.key.starts_with(".backup/sets/");
    while !world.store.trace().iter().any(sleeps) {
        tokio::task::yield_now().await;
    }
    let other = world.beside(4);
    world.clock.pass(Duration::from_secs(3 * 3600)).await;
    let report = other.repository.janitor(&other.cx()).await.unwrap();
    assert_eq!(report.aborted.len(), 1, "{report:?}");
    assert!(report.objects >= 2, "{report:?}");
    other.repository.backup(&other.cx(), &data(), &other.request()).await.unwrap();
    while !job.is_finished() {
        world.clock.pass(Duration::from_secs(3600)).await;
    }
    let error = job.await.unwrap().unwrap_err();
    assert_eq!(error.code().name, "publish.aborted");
    assert_eq!(other.restore_all().await, vec![data().content()]);
    let latest = other.repository.latest(&other.cx(), &other.set).await.unwrap().unwrap();
    let report = other.repository.verify(&other.cx(), &other.set, &latest.id, VerifyLevel::Restorable, None).await.unwrap();
    assert!(report.is_good());
    other.janitor_to_the_end().await;
    assert_eq!(other.orphans().await, Vec::<String>::new());
}
