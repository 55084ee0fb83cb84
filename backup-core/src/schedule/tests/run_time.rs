//! Changes while the scheduler runs.

use super::*;
use crate::state::State;

#[tokio::test]
async fn schedules_come_and_go_and_their_records_with_them() {
    let world = World::at("2026-11-20T00:30:00Z");
    let scheduler = world.start(&schedule(cron("0 * * * *", "UTC"))).await;
    world.run_until(&scheduler, "2026-11-20T01:30:00Z").await;
    assert!(world.state.get("schedules/nightly").await.unwrap().is_some());
    scheduler.set(schedule(cron("45 * * * *", "UTC"))).unwrap();
    world.run_until(&scheduler, "2026-11-20T02:30:00Z").await;
    assert_eq!(world.fired(), ["20T01:00:00", "20T01:45:00"]);
    scheduler.remove("nightly").await.unwrap();
    world.wait_until("2026-11-20T05:00:00Z").await;
    assert_eq!(world.fired().len(), 2);
    assert!(world.state.get("schedules/nightly").await.unwrap().is_none());
    assert!(scheduler.next_runs().is_empty());
    scheduler.remove("nightly").await.unwrap();
}

#[tokio::test]
async fn a_schedule_removed_while_its_job_runs_leaves_no_record() {
    let world = World::at("2026-11-20T00:30:00Z");
    let scheduler = world.start(&schedule(interval(3600))).await;
    world.wait_until("2026-11-20T01:35:00Z").await;
    scheduler.remove("nightly").await.unwrap();
    world.end(&scheduler).await;
    assert!(world.state.get("schedules/nightly").await.unwrap().is_none());
    assert!(world.state.lease("schedule/nightly").await.unwrap().is_some());
}

#[tokio::test]
async fn setting_the_same_schedule_again_does_not_restart_its_interval() {
    let world = World::at("2026-11-20T00:00:00Z");
    let scheduler = world.start(&schedule(interval(3600))).await;
    world.wait_until("2026-11-20T00:30:00Z").await;
    scheduler.set(schedule(interval(3600)).catch_up(true)).unwrap();
    world.run_until(&scheduler, "2026-11-20T01:05:00Z").await;
    assert_eq!(world.fired(), ["20T01:00:00"]);
}

#[tokio::test]
async fn next_runs_are_sorted_and_a_thousand_schedules_fire() {
    let world = World::at("2026-11-20T00:30:00Z");
    let scheduler = world.start(&schedule(cron("0 3 * * *", "UTC"))).await;
    for n in 0..1000 {
        let other = Schedule { name: format!("s{n:04}"), ..schedule(cron(&format!("{} 2 * * *", n % 60), "UTC")) };
        scheduler.set(other).unwrap();
    }
    let runs = scheduler.next_runs();
    assert_eq!(runs.len(), 1001);
    assert!(runs.is_sorted_by_key(|run| run.at));
    assert_eq!(runs.last().unwrap().schedule, "nightly");
    world.wait_until("2026-11-20T04:00:00Z").await;
    assert_eq!(world.fired().len(), 1001);
}

#[tokio::test]
async fn a_stopped_scheduler_fires_nothing() {
    let world = World::at("2026-11-20T00:30:00Z");
    let scheduler = world.start(&schedule(cron("0 * * * *", "UTC"))).await;
    scheduler.stop().await;
    scheduler.stop().await;
    world.wait_until("2026-11-20T05:00:00Z").await;
    assert!(world.fired().is_empty());
    assert_eq!(world.clock.sleepers(), 0, "its task has ended");
}

#[tokio::test]
async fn an_end_that_is_told_before_the_start_is_an_end() {
    let world = World::at("2026-11-20T00:30:00Z");
    let scheduler = world.start(&schedule(cron("0 * * * *", "UTC"))).await;
    scheduler.ended("nightly", &JobId::new("0".repeat(32)).unwrap());
    scheduler.ended("nobody", &JobId::new("0".repeat(32)).unwrap());
    world.run_until(&scheduler, "2026-11-20T02:30:00Z").await;
    assert_eq!(world.fired(), ["20T01:00:00", "20T02:00:00"]);
}
