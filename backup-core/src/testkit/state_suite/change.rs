//! Values and their changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use tokio::sync::Barrier;

use super::bench::{Bench, must, promise};
use crate::state::Expected;

const RACERS: usize = 16;

pub(super) async fn what_is_set_is_read_back(bench: Bench<'_>) {
    promise!(bench.get("a").await.is_none(), "a fresh state must have no values");
    for value in ["x", "", "a longer value than the first"] {
        let version = bench.set("a", value).await;
        promise!(bench.get("a").await.is_some_and(|entry| entry.version == version), "a version must not change by reading");
    }
    let big = Bytes::from(vec![0xa5; 64 << 10]);
    let set = bench.state.compare_and_set("big", Expected::Absent, Some(big.clone())).await;
    promise!(must("setting 64 KiB", set), "64 KiB must be set");
    promise!(bench.get("big").await.is_some_and(|entry| entry.value == big), "64 KiB must be read back as they were set");
}

pub(super) async fn what_is_removed_is_gone(bench: Bench<'_>) {
    bench.set("a", "x").await;
    bench.set("ab", "y").await;
    promise!(bench.change("a", Expected::Any, None).await, "a value must be removable");
    promise!(bench.get("a").await.is_none(), "a removed value must be gone");
    promise!(bench.range("", None, 10).await == ["ab"], "a removed value must be gone from ranges, and no other");
    promise!(bench.change("a", Expected::Any, None).await, "removing what is not there must be as good as done");
    promise!(bench.change("a", Expected::Absent, Some("z")).await, "a removed value must count as absent");
}

pub(super) async fn a_change_needs_what_it_expects(bench: Bench<'_>) {
    promise!(!bench.change("a", Expected::Version(1), Some("x")).await, "no version must hold where there is no value");
    promise!(bench.get("a").await.is_none(), "a change that was refused must do nothing");
    promise!(bench.change("a", Expected::Absent, Some("first")).await, "a first value must be set where absent is expected");
    promise!(!bench.change("a", Expected::Absent, Some("second")).await, "absent must not hold where a value is");
    promise!(!bench.change("a", Expected::Absent, None).await, "absent must not hold where a value is, for a removal too");
    let Some(entry) = bench.get("a").await else { panic!("the first value must still be there") };
    promise!(entry.value == "first", "a change that was refused must do nothing, the value is {:?}", entry.value);
    for wrong in [entry.version + 1, entry.version.wrapping_sub(1)] {
        promise!(!bench.change("a", Expected::Version(wrong), Some("x")).await, "another version than the value's must not hold");
        promise!(!bench.change("a", Expected::Version(wrong), None).await, "a removal must need the version it expects");
    }
    promise!(bench.get("a").await == Some(entry.clone()), "changes that were refused must leave value and version as they are");
    promise!(bench.change("a", Expected::Version(entry.version), Some("x")).await, "the value's version must hold");
    promise!(!bench.change("a", Expected::Version(entry.version), Some("y")).await, "a version must hold once");
    let now = bench.get("a").await.map(|entry| entry.version).unwrap_or_default();
    promise!(bench.change("a", Expected::Version(now), None).await, "a removal must happen at the version it expects");
}

pub(super) async fn a_version_never_comes_back(bench: Bench<'_>) {
    let mut seen = BTreeSet::new();
    for round in 0..10 {
        // The same value again is a change too.
        for value in ["x", "x", "y"] {
            let version = bench.set("a", value).await;
            promise!(seen.insert(version), "version {version} came back in round {round}");
        }
        bench.change("a", Expected::Any, None).await;
    }
    let Some(old) = seen.pop_last() else { panic!("no version seen") };
    let bench = bench.reopen().await;
    let version = bench.set("a", "x").await;
    promise!(version != old && !seen.contains(&version), "version {version} came back after a restart");
    promise!(!bench.change("a", Expected::Version(old), None).await, "a version of a removed value must not hold for a new one");
}

pub(super) async fn odd_keys_are_kept_apart(bench: Bench<'_>) {
    let long = "k".repeat(500);
    let longer = format!("{}/", "k".repeat(499));
    let keys = ["a", "A", "a/", "a//b", "a/b", "a.b", "a b", "ä", "日本", "%2f", "..", "a\u{7f}", &long, &longer];
    for (n, key) in keys.iter().enumerate() {
        promise!(
            bench.change(key, Expected::Absent, Some(&n.to_string())).await,
            "{key:?} must be another key than those before"
        );
    }
    for (n, key) in keys.iter().enumerate() {
        let value = bench.get(key).await.map(|entry| entry.value);
        promise!(value == Some(Bytes::from(n.to_string())), "{key:?} must hold {n}, not {value:?}");
    }
    promise!(bench.range("", None, 100).await.len() == keys.len(), "every key must be in the range of all, once");
}

pub(super) async fn one_of_many_racing_changes_wins(bench: Bench<'_>) {
    let version = bench.set("taken", "x").await;
    for (key, expected) in [("free", Expected::Absent), ("taken", Expected::Version(version))] {
        let start = Arc::new(Barrier::new(RACERS));
        let racers = (0..RACERS).map(|n| {
            let (state, start) = (bench.state.clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                state.compare_and_set(key, expected, Some(Bytes::from(n.to_string()))).await
            })
        });
        let answers: Vec<bool> =
            join_all(racers).await.into_iter().map(|racer| must("a race", racer.expect("a change does not panic"))).collect();
        let winners: Vec<_> = answers.iter().enumerate().filter(|(_, won)| **won).map(|(n, _)| n.to_string()).collect();
        promise!(winners.len() == 1, "of {RACERS} racing changes that expect {expected:?} one must win, not {}", winners.len());
        let value = bench.get(key).await.map(|entry| entry.value);
        promise!(value == Some(Bytes::from(winners[0].clone())), "the value must be that of the change that won, not {value:?}");
    }
}

pub(super) async fn no_racing_change_is_lost(bench: Bench<'_>) {
    bench.set("sum", "0").await;
    let adders = (0..RACERS).map(|_| {
        let state = bench.state.clone();
        tokio::spawn(async move {
            loop {
                let entry = must("get", state.get("sum").await).expect("the sum is there");
                let sum: usize = std::str::from_utf8(&entry.value).expect("a text").parse().expect("a number");
                let next = Some(Bytes::from((sum + 1).to_string()));
                if must("adding", state.compare_and_set("sum", Expected::Version(entry.version), next).await) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        })
    });
    join_all(adders).await.into_iter().for_each(|adder| adder.expect("adding does not panic"));
    let sum = bench.get("sum").await.map(|entry| entry.value);
    promise!(sum == Some(Bytes::from(RACERS.to_string())), "{RACERS} times one must be {RACERS}, not {sum:?}");
}

pub(super) async fn a_new_process_finds_what_was_set(bench: Bench<'_>) {
    let kept = bench.set("kept", "x").await;
    bench.set("changed", "x").await;
    let changed = bench.set("changed", "y").await;
    bench.set("removed", "x").await;
    bench.change("removed", Expected::Any, None).await;
    let bench = bench.reopen().await;
    for (key, value, version) in [("kept", "x", kept), ("changed", "y", changed)] {
        let Some(entry) = bench.get(key).await else { panic!("{key:?} must be there after a restart") };
        promise!(entry.value == value, "{key:?} must hold {value:?} after a restart, not {:?}", entry.value);
        promise!(entry.version == version, "the version of {key:?} must be the same after a restart");
    }
    promise!(bench.get("removed").await.is_none(), "what was removed must be gone after a restart");
    promise!(bench.range("", None, 10).await == ["changed", "kept"], "a range must be the same after a restart");
}
