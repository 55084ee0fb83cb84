//! Jobs of several processes at the same time, on a store that fails, loses answers and lets requests linger; every seed goes another way.
//! 200 seeds; 10,000 with `BACKUP_TEST_LONG=1`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::testkit::{Fault, FaultPlan, FaultRule, OpKind, SeededRandom};
use backup_core::{BackupId, Effect};
use support::{Data, GRACE, TTL, World, bytes};

fn seeds() -> std::ops::Range<u64> {
    let one = std::env::var("BACKUP_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    match (one, std::env::var_os("BACKUP_TEST_LONG")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(_)) => 0..10_000,
        (None, None) => 0..200,
    }
}

fn faults(seed: u64) -> FaultPlan {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    FaultPlan::seeded(seed)
        .rule(FaultRule::new(Fault::Timeout).probability(0.02))
        .rule(FaultRule::new(Fault::ErrorBefore(&codes::STORE_UNAVAILABLE)).probability(0.02))
        .rule(FaultRule::new(Fault::Throttle).probability(0.01))
        .rule(FaultRule::new(Fault::LateEffect(minutes(30))).on([OpKind::Put, OpKind::Finish]).probability(0.02))
        .rule(FaultRule::new(Fault::ShortRead(3)).probability(0.01))
        // A publisher that was suspended past every lease, intent and grace.
        .rule(
            FaultRule::new(Fault::SleepPast(minutes(60 * 12)))
                .on([OpKind::Put])
                .key(|key| key.starts_with(".backup/sets/"))
                .probability(0.2),
        )
        .rule(FaultRule::new(Fault::SleepPast(minutes(50))).probability(0.01))
}

/// What each process does; the ids of backups it was told are published.
async fn process(world: Arc<World>, seed: u64) -> Vec<BackupId> {
    let random = SeededRandom::new(seed);
    let mut published = Vec::new();
    for _ in 0..4 {
        match random.below(4) {
            0 => drop(world.repository.janitor(&world.cx()).await),
            1 => drop(world.repository.latest(&world.cx(), &world.set).await),
            _ => {
                let data = Data::new(&[("a", bytes(2000, 1)), ("b", vec![3; 10])]);
                match world.repository.backup(&world.cx(), &data, &world.request()).await {
                    Ok(outcome) => published.push(outcome.backup().id.clone()),
                    Err(error) => assert_ne!(error.effect(), Effect::Applied, "{error}"),
                }
            }
        }
    }
    published
}

async fn run(seed: u64) {
    let first = World::new(seed);
    first.store.set_jitter(seed);
    first.store.set_faults(faults(seed));
    let others = (1..3).map(|n| first.beside(seed * 3 + n));
    let worlds: Vec<_> = others.map(Arc::new).collect();
    let mut jobs = tokio::task::JoinSet::new();
    for (n, world) in worlds.iter().enumerate() {
        jobs.spawn(process(Arc::clone(world), seed.wrapping_mul(7) + n as u64));
    }
    let random = SeededRandom::new(seed + 1);
    let mut published = Vec::new();
    while !jobs.is_empty() {
        first.clock.pass(Duration::from_secs(random.below(TTL.as_secs()))).await;
        while let Some(done) = jobs.try_join_next() {
            published.extend(done.unwrap());
        }
    }
    // Late requests arrive.
    first.clock.pass(GRACE).await;
    first.store.clear_faults();

    let after = first.after_crash(seed);
    let listed: Vec<_> =
        after.repository.list(&after.cx(), &after.set).await.unwrap().iter().map(|info| info.id.clone()).collect();
    for id in &published {
        assert!(listed.contains(id), "seed {seed}: backup {id} was reported as published and is not there");
    }
    let expected = Data::new(&[("a", bytes(2000, 1)), ("b", vec![3; 10])]).content();
    for backup in after.restore_all().await {
        assert_eq!(backup, expected, "seed {seed}");
    }
    after.janitor_to_the_end().await;
    assert_eq!(after.restore_all().await.len(), listed.len(), "seed {seed}: the janitor changed what is listed");
    assert_eq!(after.orphans().await, Vec::<String>::new(), "seed {seed}");
    assert_eq!(after.store.unfinished(), 0, "seed {seed}: unfinished writes left");
}

#[tokio::test]
async fn interleaved_jobs_with_faults_keep_every_promise() {
    for seed in seeds() {
        tokio::time::timeout(Duration::from_secs(60), run(seed)).await.unwrap_or_else(|_| panic!("seed {seed} hangs"));
    }
}
