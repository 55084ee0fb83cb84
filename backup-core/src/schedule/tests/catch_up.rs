//! What was missed while no process was up.

use super::*;

async fn down(trigger: Trigger, catch_up: bool, until: &str) -> (World, Scheduler) {
    let mut world = World::at("2026-11-20T00:30:00Z");
    let schedule = schedule(trigger).catch_up(catch_up);
    let scheduler = world.start(&schedule).await;
    world.run_until(&scheduler, "2026-11-20T01:30:00Z").await;
    world.die(scheduler).await;
    world.wait_until(until).await;
    let scheduler = world.start(&schedule).await;
    (world, scheduler)
}

#[tokio::test]
async fn missed_ticks_are_made_up_for_once() {
    let (world, scheduler) = down(cron("0 * * * *", "UTC"), true, "2026-11-20T04:30:00Z").await;
    world.run_until(&scheduler, "2026-11-20T05:30:00Z").await;
    assert_eq!(world.fired(), ["20T01:00:00", "20T04:30:00", "20T05:00:00"]);
}

#[tokio::test]
async fn without_catch_up_missed_ticks_are_gone() {
    let (world, scheduler) = down(cron("0 * * * *", "UTC"), false, "2026-11-20T04:30:00Z").await;
    world.run_until(&scheduler, "2026-11-20T05:30:00Z").await;
    assert_eq!(world.fired(), ["20T01:00:00", "20T05:00:00"]);
}

#[tokio::test]
async fn a_tick_at_the_moment_of_the_start_fires_once() {
    let (mut world, scheduler) = down(cron("0 * * * *", "UTC"), false, "2026-11-20T04:00:00Z").await;
    assert_eq!(world.fired(), ["20T01:00:00", "20T04:00:00"]);
    let scheduler = world.restart(scheduler, &schedule(cron("0 * * * *", "UTC"))).await;
    world.run_until(&scheduler, "2026-11-20T04:30:00Z").await;
    assert_eq!(world.fired().len(), 2);
}

#[tokio::test]
async fn an_interval_counts_on_over_the_restart_with_catch_up_only() {
    for (catch_up, until, third) in [
        (false, "2026-11-20T02:00:00Z", "20T03:00:00"),
        (true, "2026-11-20T02:00:00Z", "20T02:30:30"),
        (true, "2026-11-20T09:00:00Z", "20T09:00:00"),
    ] {
        let mut world = World::at("2026-11-20T00:30:00Z");
        let schedule = schedule(interval(3600)).catch_up(catch_up);
        let scheduler = world.start(&schedule).await;
        world.run_until(&scheduler, "2026-11-20T01:32:00Z").await;
        world.die(scheduler).await;
        world.wait_until(until).await;
        let scheduler = world.start(&schedule).await;
        world.run_until(&scheduler, "2026-11-20T09:30:00Z").await;
        assert_eq!(world.fired()[..2], ["20T01:30:00", third], "{catch_up} {until}");
    }
}

#[tokio::test]
async fn a_window_fires_once_over_restarts_before_in_and_after_it() {
    for catch_up in [false, true] {
        let mut world = World::at("2026-11-20T21:00:00Z");
        let schedule = schedule(daily("22:00", "23:00", "UTC")).catch_up(catch_up);
        let mut scheduler = world.start(&schedule).await;
        for stop in ["21:30", "22:00", "22:01", "22:30", "22:59", "23:00", "23:30"] {
            world.run_until(&scheduler, &format!("2026-11-20T{stop}:00Z")).await;
            scheduler = world.restart(scheduler, &schedule).await;
        }
        assert_eq!(world.fired(), ["20T22:00:00"]);
        // Down over a window: missed. Down until the middle of one: made up for.
        world.die(scheduler).await;
        world.wait_until("2026-11-21T23:00:00Z").await;
        let scheduler = world.start(&schedule).await;
        assert_eq!(world.fired().len(), 1);
        world.die(scheduler).await;
        world.wait_until("2026-11-22T22:59:59Z").await;
        let _scheduler = world.start(&schedule).await;
        assert_eq!(world.fired(), ["20T22:00:00", "22T22:59:59"]);
    }
}

#[tokio::test]
async fn the_second_part_of_a_window_that_comes_twice_serves_who_missed_the_first() {
    let schedule = schedule(daily("02:15", "02:45", "Europe/Berlin"));
    let world = World::at("2026-10-25T00:50:00Z");
    let scheduler = world.start(&schedule).await;
    world.run_until(&scheduler, "2026-10-25T12:00:00Z").await;
    assert_eq!(world.fired(), ["25T01:15:00"]);
}
