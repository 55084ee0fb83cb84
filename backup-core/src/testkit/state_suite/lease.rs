//! Leases.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::Barrier;

use super::bench::{Bench, must, promise};

const RACERS: usize = 16;

pub(super) async fn a_lease_has_one_holder(bench: Bench<'_>) {
    let lease = bench.lease("a").await;
    promise!(bench.try_lease("a").await.is_none(), "a held lease must not be given a second time");
    must("still_held of a held lease", lease.still_held().await);
    let other = bench.lease("b").await;
    must("still_held beside another lease", lease.still_held().await);
    must("still_held of the other lease", other.still_held().await);
}

pub(super) async fn a_dropped_lease_is_given_back(bench: Bench<'_>) {
    for round in 0..3 {
        let lease = bench.lease("a").await;
        must("still_held", lease.still_held().await);
        drop(lease);
        promise!(bench.try_lease("a").await.is_some(), "a dropped lease must be free at once, in round {round}");
    }
    let (kept, dropped) = (bench.lease("kept").await, bench.lease("dropped").await);
    drop(dropped);
    must("still_held after another one was dropped", kept.still_held().await);
    promise!(bench.try_lease("kept").await.is_none(), "dropping a lease must not give back another one");
}

pub(super) async fn one_of_many_racers_gets_the_lease(bench: Bench<'_>) {
    let start = Arc::new(Barrier::new(RACERS));
    let racers = (0..RACERS).map(|_| {
        let (state, start) = (bench.state.clone(), start.clone());
        tokio::spawn(async move {
            start.wait().await;
            state.lease("race").await
        })
    });
    // All answers are kept to the end, and with them the leases.
    let answers: Vec<_> = join_all(racers).await.into_iter().map(|racer| racer.expect("lease does not panic")).collect();
    let held = answers.into_iter().filter_map(|answer| must("a lease", answer)).count();
    promise!(held == 1, "of {RACERS} racers for a lease one must get it, not {held}");
}

pub(super) async fn generations_grow(bench: Bench<'_>) {
    let mut last = 0;
    for round in 0..5 {
        let generation = bench.lease("a").await.generation();
        promise!(round == 0 || generation > last, "generation {generation} must be above {last}, that of the holder before");
        last = generation;
    }
}

pub(super) async fn generations_grow_over_a_restart(bench: Bench<'_>) {
    drop(bench.lease("a").await);
    let lease = bench.lease("a").await;
    let last = lease.generation();
    drop(lease);
    let bench = bench.reopen().await;
    let lease = bench.lease("a").await;
    promise!(lease.generation() > last, "generation {} after a restart must be above {last}", lease.generation());
    must("still_held after a restart", lease.still_held().await);
    promise!(bench.try_lease("a").await.is_none(), "a lease must be exclusive after a restart too");
}

pub(super) async fn a_lease_is_no_value(bench: Bench<'_>) {
    bench.set("a", "x").await;
    let _lease = bench.lease("a").await;
    promise!(bench.get("a").await.is_some_and(|entry| entry.value == "x"), "a lease must not touch the value of that key");
    promise!(bench.range("", None, 10).await == ["a"], "a lease must not be seen in ranges");
}
