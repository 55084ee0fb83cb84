//! Clocks that jump.

use super::*;

#[tokio::test]
async fn a_clock_that_goes_back_fires_nothing_twice() {
    for hours in [1, 3, 30, 24 * 8] {
        let world = World::at("2026-11-20T00:30:00Z");
        let scheduler = world.start(&schedule(cron("0 * * * *", "UTC"))).await;
        world.run_until(&scheduler, "2026-11-20T06:30:00Z").await;
        world.clock.shift_wall(TimeDelta::hours(-hours));
        world.run_until(&scheduler, "2026-11-20T08:30:00Z").await;
        let mut again = world.fired();
        again.sort();
        again.dedup();
        assert_eq!(again.len(), world.fired().len(), "back by {hours}: {:?}", world.fired());
        assert!(again.contains(&"20T07:00:00".into()) && again.contains(&"20T08:00:00".into()), "{again:?}");
    }
}

#[tokio::test]
async fn a_window_fires_once_also_when_the_clock_goes_back_into_it_or_before_it() {
    for minutes in [5, 30, 600] {
        let mut world = World::at("2026-11-20T21:00:00Z");
        let schedule = schedule(daily("22:00", "23:00", "UTC"));
        let scheduler = world.start(&schedule).await;
        world.run_until(&scheduler, "2026-11-20T22:10:00Z").await;
        world.clock.shift_wall(TimeDelta::minutes(-minutes));
        world.run_until(&scheduler, "2026-11-20T22:20:00Z").await;
        let scheduler = world.restart(scheduler, &schedule).await;
        world.run_until(&scheduler, "2026-11-21T22:30:00Z").await;
        assert_eq!(world.fired(), ["20T22:00:00", "21T22:00:00"], "back by {minutes}");
    }
}

#[tokio::test]
async fn a_clock_that_was_years_ahead_silences_nothing_when_it_is_set_right() {
    let mut world = World::at("2026-11-20T00:30:00Z");
    let schedule = schedule(cron("0 * * * *", "UTC")).catch_up(true);
    let scheduler = world.start(&schedule).await;
    world.run_until(&scheduler, "2026-11-20T02:30:00Z").await;
    world.clock.shift_wall(TimeDelta::days(1461));
    world.run_until(&scheduler, "2030-11-20T04:30:00Z").await;
    assert_eq!(world.fired(), ["20T01:00:00", "20T02:00:00", "20T02:30:30", "20T03:00:00", "20T04:00:00"]);
    world.clock.shift_wall(TimeDelta::days(-1461));
    let scheduler = world.restart(scheduler, &schedule).await;
    world.run_until(&scheduler, "2026-11-20T06:30:00Z").await;
    assert_eq!(world.fired()[5..], ["20T05:00:00", "20T06:00:00"]);
}

#[tokio::test]
async fn after_a_suspended_night_one_firing_makes_up_for_all() {
    let world = World::at("2026-11-20T00:30:00Z");
    let scheduler = world.start(&schedule(cron("0 * * * *", "UTC"))).await;
    world.clock.shift_wall(TimeDelta::hours(8));
    world.run_until(&scheduler, "2026-11-20T09:30:00Z").await;
    assert_eq!(world.fired(), ["20T08:30:30", "20T09:00:00"], "within thirty seconds, once");
}

#[tokio::test]
async fn an_interval_goes_on_when_the_clock_goes_back() {
    let world = World::at("2026-11-20T12:00:00Z");
    let scheduler = world.start(&schedule(interval(3600))).await;
    world.run_until(&scheduler, "2026-11-20T12:30:00Z").await;
    world.clock.shift_wall(TimeDelta::hours(-10));
    world.run_until(&scheduler, "2026-11-20T03:05:00Z").await;
    assert_eq!(world.fired(), ["20T03:00:00"]);
}
