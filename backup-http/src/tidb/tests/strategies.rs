use std::collections::BTreeMap;
use std::time::Duration;

use backup_core::service::Limits;
use backup_core::state::{Expected, State};
use serde_json::{Value, json};

use super::world::World;
use crate::kept;

const EVERY_DAY: &str = "Sunday,Monday,Tuesday,Wednesday,Thursday,Friday,Saturday";

fn strategy(date: &str, period: &str) -> Value {
    json!({"strategy": {"clusterId": "test-tidb", "backupDate": date, "period": period}})
}

/// A world whose backups end at once.
async fn world(start: &str, zone: &str) -> World {
    let world = World::at(start, &["c1", "c2"], zone, Limits::default()).await;
    world.release(1000);
    world
}

async fn set(world: &World, cluster: &str, date: &str, period: &str) {
    world.put(&format!("/clusters/{cluster}/strategy"), strategy(date, period)).await.data();
}

async fn starts(world: &World, cluster: &str) -> Vec<String> {
    let mut starts: Vec<String> = world
        .records(&format!("clusterId={cluster}"))
        .await
        .iter()
        .filter(|record| record["backupMode"] == "auto")
        .map(|record| record["startTime"].as_str().unwrap().get(..16).unwrap().to_owned())
        .collect();
    starts.sort();
    starts
}

#[tokio::test]
async fn a_strategy_is_set_by_both_methods_and_read_back_normalised() {
    let world = World::new().await;
    let read = async |cluster: &str| world.get(&format!("/clusters/{cluster}/strategy/")).await.data()["strategy"].clone();
    let never = |cluster: &str| json!({"clusterId": cluster, "backupDate": "", "period": "0:00-0:00"});
    assert_eq!(read("c1").await, never("c1"));
    assert_eq!(read("unknown").await, never("unknown"));
    assert_eq!(world.get("/clusters/a%20b/strategy").await.data()["strategy"], never("a b"));
    let path = "/clusters/c1/strategy";
    world.post(path, json!({"strategy": {"backupDate": "Monday,Tuesday", "period": "00:00-01:00"}})).await.data();
    assert_eq!(read("c1").await, json!({"clusterId": "c1", "backupDate": "Monday,Tuesday", "period": "0:00-1:00"}));
    world.put(path, strategy("Tuesday,Wednesday", "23:00-00:00")).await.data();
    assert_eq!(read("c1").await, json!({"clusterId": "c1", "backupDate": "Tuesday,Wednesday", "period": "23:00-24:00"}));
    for (body, code) in [
        (json!({}), (400, 10001)),
        (json!({"strategy": null}), (400, 10001)),
        (json!({"strategy": {"backupDate": "Monday"}}), (400, 10001)),
        (strategy("monday", "7-9"), (400, 10001)),
        (strategy("Monday", "9-7"), (400, 10001)),
        (strategy("Monday", "0:00-0:00"), (400, 10001)),
        (json!({"strategy": {"backupDate": 5, "period": "7-9"}}), (400, 10004)),
        (json!([]), (400, 10004)),
    ] {
        assert_eq!(world.put(path, &body).await.code(), code, "{body}");
    }
    assert_eq!(world.put("/clusters/none/strategy", strategy("Monday", "7-9")).await.code(), (404, 10003));
    assert_eq!(world.put("/clusters/none/strategy", strategy("Monday", "9-7")).await.code(), (400, 10001));
    // It outlives the process.
    let world = world.restart().await;
    assert_eq!(world.get(path).await.data()["strategy"]["period"], "23:00-24:00");
}

#[tokio::test]
async fn each_window_fires_once_at_its_first_opportunity() {
    // A Friday.
    let world = world("2026-11-20T05:00:00Z", "UTC").await;
    set(&world, "c1", "Friday,Sunday", "07:30-09:45").await;
    set(&world, "c2", EVERY_DAY, "0:00-24:00").await;
    world.pass_until("2026-11-22T10:00:00Z").await;
    assert_eq!(starts(&world, "c1").await, ["2026-11-20T07:00", "2026-11-22T07:00"]);
    let second: Vec<_> = starts(&world, "c2").await;
    assert_eq!(second.len(), 3, "{second:?}");
    assert_eq!(second[1], "2026-11-21T00:00");
}

#[tokio::test]
async fn the_last_hour_and_the_first_hour_are_hours_like_the_others() {
    let world = world("2026-11-20T22:00:00Z", "UTC").await;
    set(&world, "c1", "Friday", "23:00-24:00").await;
    set(&world, "c2", "Saturday", "0:00-1:00").await;
    world.pass_until("2026-11-21T03:00:00Z").await;
    // Six days in which the machine is suspended.
    world.clock.advance(Duration::from_secs(6 * 86_400));
    world.pass_until("2026-11-28T03:00:00Z").await;
    assert_eq!(starts(&world, "c1").await, ["2026-11-20T23:00", "2026-11-27T23:00"]);
    assert_eq!(starts(&world, "c2").await, ["2026-11-21T00:00", "2026-11-28T00:00"]);
}

#[tokio::test]
async fn with_daylight_saving_each_window_fires_once() {
    // Sunday 2026-03-29: two o'clock is three. Sunday 2026-10-25: three o'clock is two.
    for (start, end) in [("2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z"), ("2026-10-24T21:00:00Z", "2026-10-25T05:00:00Z")] {
        for period in ["2-3", "1-3", "2-4", "0-24", "1-2", "3-4"] {
            let world = world(start, "Europe/Berlin").await;
            set(&world, "c1", "Sunday", period).await;
            world.pass_until(end).await;
            assert_eq!(starts(&world, "c1").await.len(), 1, "{start} {period}");
        }
    }
}

#[tokio::test]
async fn a_restart_inside_the_window_fires_no_second_time_and_makes_up_for_a_first() {
    let first = world("2026-11-20T06:50:00Z", "UTC").await;
    set(&first, "c1", "Friday", "7-9").await;
    set(&first, "c2", "Friday", "8-10").await;
    first.pass_until("2026-11-20T07:30:00Z").await;
    assert_eq!(first.fired().await, BTreeMap::from([("c1".to_owned(), 1)]));
    first.clock.advance(Duration::from_secs(5400));
    let next = first.restart().await;
    next.release(1000);
    next.pass_until("2026-11-20T12:00:00Z").await;
    assert_eq!(next.fired().await, BTreeMap::from([("c1".to_owned(), 1), ("c2".to_owned(), 1)]));
    assert_eq!(starts(&next, "c2").await, ["2026-11-20T09:00"]);
}

#[tokio::test]
async fn two_replicas_fire_once_together_and_one_takes_up_what_the_other_was_told() {
    let one = world("2026-11-20T06:50:00Z", "UTC").await;
    let other = one.replica().await;
    set(&one, "c1", EVERY_DAY, "7-9").await;
    set(&other, "c2", EVERY_DAY, "7-9").await;
    one.pass_until("2026-11-20T10:00:00Z").await;
    assert_eq!(one.fired().await, BTreeMap::from([("c1".to_owned(), 1), ("c2".to_owned(), 1)]));
    // The one that was not told fires when the other is gone.
    one.dialect.stop().await;
    other.pass_until("2026-11-21T10:00:00Z").await;
    assert_eq!(other.fired().await, BTreeMap::from([("c1".to_owned(), 2), ("c2".to_owned(), 2)]));
}

#[tokio::test]
async fn a_locked_cluster_is_tried_again_as_long_as_the_window_is_open() {
    let world = World::at("2026-11-20T06:50:00Z", &["c1", "c2"], "UTC", Limits::default()).await;
    for cluster in ["c1", "c2"] {
        set(&world, cluster, "Friday", "7-9").await;
        world.started(cluster).await;
    }
    world.pass_until("2026-11-20T07:45:00Z").await;
    assert_eq!(world.fired().await, BTreeMap::new());
    // One of the two is free in time.
    let running = world.records("clusterId=c1").await[0]["id"].as_str().unwrap().to_owned();
    world.post("/backups/cancel", json!({"clusterId": "c1", "backupId": running})).await.data();
    world.over(&running).await;
    world.pass_until("2026-11-20T09:30:00Z").await;
    world.release(1000);
    world.pass_until("2026-11-20T20:00:00Z").await;
    assert_eq!(world.fired().await, BTreeMap::from([("c1".to_owned(), 1)]));
}

#[tokio::test]
async fn a_strategy_that_is_taken_away_and_set_again_does_not_fire_twice_in_its_window() {
    let world = world("2026-11-20T06:50:00Z", "UTC").await;
    set(&world, "c1", "Friday", "7-9").await;
    set(&world, "c2", "Friday", "7-9").await;
    set(&world, "c2", "", "7-9").await;
    world.pass_until("2026-11-20T07:30:00Z").await;
    set(&world, "c1", "", "7-9").await;
    world.pass_until("2026-11-20T07:45:00Z").await;
    set(&world, "c1", "Friday", "7-9").await;
    world.pass_until("2026-11-20T12:00:00Z").await;
    assert_eq!(world.fired().await, BTreeMap::from([("c1".to_owned(), 1)]));
}

#[tokio::test]
async fn a_window_that_a_process_before_has_begun_fires_when_the_cluster_is_free_late() {
    let first = world("2026-11-20T06:50:00Z", "UTC").await;
    set(&first, "c1", "Friday", "7-9").await;
    // The cluster is worked on while the window opens, and long after the restart.
    let lease = first.state.lease("tidb/cluster/c1").await.unwrap().unwrap();
    first.pass_until("2026-11-20T07:15:00Z").await;
    drop(lease);
    let next = first.restart().await;
    next.release(1000);
    let lease = next.state.lease("tidb/cluster/c1").await.unwrap().unwrap();
    set(&next, "c1", "Friday", "7-9").await;
    next.pass_until("2026-11-20T07:30:00Z").await;
    set(&next, "c1", "Friday", "7-9").await;
    assert_eq!(next.fired().await, BTreeMap::new());
    drop(lease);
    next.pass_until("2026-11-20T10:00:00Z").await;
    assert_eq!(next.fired().await, BTreeMap::from([("c1".to_owned(), 1)]));
}

#[tokio::test]
async fn a_strategy_that_cannot_be_used_does_not_stop_the_others() {
    let first = world("2026-11-20T06:50:00Z", "UTC").await;
    set(&first, "c2", "Friday", "7-9").await;
    let bad = json!({"date": "Friday", "start": 9, "end": 7});
    kept::set(&first.state, "tidb/strategies/c1", Expected::Any, &bad).await.unwrap();
    let next = first.restart().await;
    next.release(1000);
    next.pass_until("2026-11-20T10:00:00Z").await;
    assert_eq!(next.fired().await, BTreeMap::from([("c2".to_owned(), 1)]));
}
