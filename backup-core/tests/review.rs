//! What an adversary tried: races, lost errors, records of other versions, keys that lie, clocks that jump.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_core::naming::{NameRequest, Naming};
use backup_core::repository::{BackupOutcome, VerifyLevel};
use backup_core::source::Probe;
use backup_core::source::{ArtifactWriter, Sink, Source, Summary};
use backup_core::testkit::{Fault, FaultPlan, FaultRule, OpKind};
use backup_core::{Bytes, Compression, JobContext, ObjectKey, Repository, Result, Revision, Store, async_trait};
use chrono::TimeDelta;
use support::{Data, GRACE, TTL, World, bytes};

/// Every artifact outside of the backup's own prefix.
#[derive(Debug)]
struct Outside;

impl Naming for Outside {
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey> {
        ObjectKey::new(format!("files/{}.{}", request.artifact, request.attempt))
    }
}

fn outside(seed: u64) -> World {
    let world = World::new(seed);
    let repository = Repository::builder(Arc::new(world.store.clone()))
        .environment(world.cx().environment().clone())
        .intent_ttl(TTL)
        .grace(GRACE)
        .naming(Arc::new(Outside))
        .build();
    World { repository, ..world }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap()
}

#[tokio::test]
async fn a_backup_that_fails_its_last_look_leaves_nothing_under_shared_names() {
    let world = outside(1);
    // The first head finds the name free, the second is the last look before publishing.
    let rule = FaultRule::new(Fault::ErrorBefore(&backup_core::error::codes::STORE_IO));
    world.store.set_faults(FaultPlan::seeded(1).rule(rule.on([OpKind::Head]).key(|key| key.starts_with("files/")).nth(2)));
    let data = Data::new(&[("a", bytes(1000, 1))]);
    world.repository.backup(&world.cx(), &data, &world.request()).await.unwrap_err();
    world.store.verify_all_faults_exercised();
    assert_eq!(world.store.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn big_chunks_in_flight_do_not_keep_the_encoder_from_its_start() {
    let world = World::new(2);
    let data = Data { in_one_write: true, ..Data::new(&[("a", bytes(25 << 20, 1))]) };
    let request = world.request().compression(Compression::Zstd, Some(1));
    within(world.repository.backup(&world.cx(), &data, &request)).await.unwrap();
}

fn many() -> Data {
    let names: Vec<String> = (0..1001).map(|n| format!("part/{n:05}")).collect();
    Data::new(&names.iter().map(|name| (name.as_str(), vec![7])).collect::<Vec<_>>())
}

#[tokio::test]
async fn a_locked_backup_with_an_inventory_has_a_locked_inventory() {
    let world = World::new(3);
    let until = world.cx().clock().now() + TimeDelta::days(30);
    let outcome = world.repository.backup(&world.cx(), &many(), &world.request().retain_until(until)).await.unwrap();
    let manifest = world.repository.manifest(&world.cx(), &world.set, &outcome.backup().id).await.unwrap();
    let report = world.store.delete(&world.cx(), &[manifest.inventory.unwrap().key]).await.unwrap();
    assert_eq!(report.failed.len(), 1, "the inventory could be removed: {report:?}");
}

#[tokio::test]
async fn a_backup_with_a_damaged_inventory_can_still_be_removed() {
    let world = World::new(4);
    let first = world.repository.backup(&world.cx(), &many(), &world.request()).await.unwrap().backup().id.clone();
    world.clock.advance(Duration::from_secs(60));
    world.repository.backup(&world.cx(), &Data::new(&[("a", vec![1])]), &world.request()).await.unwrap();
    let manifest = world.repository.manifest(&world.cx(), &world.set, &first).await.unwrap();
    world.store.flip_bit(manifest.inventory.unwrap().key.as_str(), 50, 1);
    world.repository.delete(&world.cx(), &world.set, &first).await.unwrap();
    assert!(!world.store.keys().iter().any(|key| key.contains(first.as_str())));
}

#[tokio::test]
async fn a_backup_from_a_clock_that_was_ahead_does_not_skip_for_years() {
    let world = World::new(5);
    let data = Data::new(&[("a", vec![1; 100])]).at(Revision::exact(7));
    let request = world.request().skip_unchanged(Some(Duration::from_secs(3600)));
    world.clock.shift_wall(TimeDelta::days(3650));
    world.repository.backup(&world.cx(), &data, &request).await.unwrap();
    world.clock.shift_wall(TimeDelta::days(-3650));
    let outcome = world.repository.backup(&world.cx(), &data, &request).await.unwrap();
    assert!(matches!(outcome, BackupOutcome::Completed(_)), "{outcome:?}");
}

#[tokio::test]
async fn the_last_verify_counts_whatever_the_clock_did() {
    let world = World::new(6);
    let outcome = world.repository.backup(&world.cx(), &Data::new(&[("a", vec![1; 100])]), &world.request()).await.unwrap();
    let (id, key) = (&outcome.backup().id, outcome.backup().first_key.clone().unwrap());
    let verify = async || world.repository.verify(&world.cx(), &world.set, id, VerifyLevel::Digest, None).await.unwrap();
    let shown = async || world.repository.get(&world.cx(), &world.set, id).await.unwrap().verified.unwrap().1;
    assert!(verify().await.is_good());
    world.clock.shift_wall(TimeDelta::hours(-5));
    world.store.flip_bit(key.as_str(), 3, 0);
    assert!(!verify().await.is_good());
    assert!(!shown().await, "an older verify hides what the last one found");
    world.store.flip_bit(key.as_str(), 3, 0);
    assert!(verify().await.is_good());
    assert!(shown().await, "within one millisecond the order got lost");
    assert_eq!(world.store.keys().iter().filter(|key| key.starts_with(".backup/verified/")).count(), 1);
}

/// Keeps its only writer beyond `capture`.
#[derive(Default)]
struct Keeps(Mutex<Option<Box<dyn ArtifactWriter>>>);

impl std::fmt::Debug for Keeps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeps")
    }
}

#[async_trait]
impl Source for Keeps {
    fn kind(&self) -> &str {
        "keeps"
    }
    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }
    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let mut writer = sink.artifact(&"a".parse()?, Default::default()).await?;
        writer.write(Bytes::from(bytes(2_000_000, 1))).await?;
        *self.0.lock().unwrap() = Some(writer);
        Ok(Summary::default())
    }
}

#[tokio::test]
async fn a_source_that_keeps_a_writer_beyond_its_return_ends_the_backup_and_not_the_job() {
    let world = World::new(7);
    let (cx, source) = (world.cx(), Keeps::default());
    let error = within(world.repository.backup(&cx, &source, &world.request())).await.unwrap_err();
    assert_eq!(error.code().name, "source.incomplete");
    assert!(cx.check().is_ok(), "the caller's job was cancelled");
    assert_eq!(world.store.keys(), Vec::<String>::new());
    assert_eq!(world.store.unfinished(), 0);
}

/// Drops the first `close` while the store makes the object visible, and goes on.
#[derive(Debug)]
struct Impatient;

#[async_trait]
impl Source for Impatient {
    fn kind(&self) -> &str {
        "impatient"
    }
    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }
    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        let writer = sink.artifact(&"a".parse()?, Default::default()).await?;
        tokio::time::timeout(Duration::from_millis(200), writer.close()).await.unwrap_err();
        sink.artifact(&"b".parse()?, Default::default()).await?.close().await?;
        Ok(Summary::default())
    }
}

#[tokio::test]
async fn an_object_that_was_finished_behind_a_dropped_close_is_no_orphan() {
    let world = outside(8);
    world.clock.auto_advance(false);
    let rule = FaultRule::new(Fault::SleepPast(Duration::from_secs(5))).on([OpKind::Finish]).first(1);
    world.store.set_faults(FaultPlan::seeded(1).rule(rule));
    let job = {
        let (repository, cx, request) = (world.repository.clone(), world.cx(), world.request());
        tokio::spawn(async move { repository.backup(&cx, &Impatient, &request).await })
    };
    while !job.is_finished() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.clock.pass(Duration::from_secs(1)).await;
    }
    let _ = job.await.unwrap();
    world.store.verify_all_faults_exercised();
    let world = outside_after(&world);
    world.janitor_to_the_end().await;
    assert_eq!(world.orphans().await, Vec::<String>::new());
}

fn outside_after(world: &World) -> World {
    world.after_crash(77)
}
