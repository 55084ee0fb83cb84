//! Firing in one process.

use super::*;

#[tokio::test]
async fn each_window_fires_once_at_its_first_opportunity() {
    let world = World::at("2026-11-20T12:00:00Z");
    let scheduler = world.start(&schedule(daily("22:00", "24:00", "UTC"))).await;
    world.run_until(&scheduler, "2026-11-23T12:00:00Z").await;
    assert_eq!(world.fired(), ["20T22:00:00", "21T22:00:00", "22T22:00:00"]);
}

#[tokio::test]
async fn whole_days_fire_at_midnight_once_each() {
    let world = World::at("2026-11-20T12:00:00Z");
    let scheduler = world.start(&schedule(daily("00:00", "24:00", "Europe/Berlin"))).await;
    world.run_until(&scheduler, "2026-11-22T23:30:00Z").await;
    assert_eq!(world.fired(), ["20T12:00:00", "20T23:00:00", "21T23:00:00", "22T23:00:00"]);
}

#[tokio::test]
async fn windows_and_cron_fire_once_where_the_clock_changes() {
    for (trigger, from, to, expected) in [
        (
            daily("02:15", "02:45", "Europe/Berlin"),
            "2026-03-28T12:00:00Z",
            "2026-03-30T12:00:00Z",
            ["29T01:00:00", "30T00:15:00"],
        ),
        (
            daily("02:15", "02:45", "Europe/Berlin"),
            "2026-10-24T12:00:00Z",
            "2026-10-26T12:00:00Z",
            ["25T00:15:00", "26T01:15:00"],
        ),
        (cron("30 2 * * *", "Europe/Berlin"), "2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", ["29T01:00:00", "30T00:30:00"]),
        (cron("30 1 * * *", "America/New_York"), "2026-10-31T12:00:00Z", "2026-11-02T12:00:00Z", ["01T05:30:00", "02T06:30:00"]),
        (
            daily("01:30", "02:00", "Australia/Lord_Howe"),
            "2026-04-04T00:00:00Z",
            "2026-04-06T00:00:00Z",
            ["04T14:30:00", "05T15:00:00"],
        ),
    ] {
        let world = World::at(from);
        let scheduler = world.start(&schedule(trigger)).await;
        world.run_until(&scheduler, to).await;
        assert_eq!(world.fired(), expected, "{from}");
    }
}

#[tokio::test]
async fn a_refused_firing_is_tried_again_inside_the_window_only() {
    let world = World::at("2026-11-20T21:59:00Z");
    let scheduler = world.start(&schedule(daily("22:00", "22:10", "UTC"))).await;
    world.busy(true);
    world.run_until(&scheduler, "2026-11-20T22:04:55Z").await;
    assert!(world.fired().is_empty());
    world.busy(false);
    world.run_until(&scheduler, "2026-11-21T21:00:00Z").await;
    assert_eq!(world.fired(), ["20T22:05:00"]);
    world.busy(true);
    world.run_until(&scheduler, "2026-11-21T22:10:00Z").await;
    world.busy(false);
    world.run_until(&scheduler, "2026-11-22T22:30:00Z").await;
    assert_eq!(world.fired(), ["20T22:05:00", "22T22:00:00"], "at the end it is too late");
}

#[tokio::test]
async fn jitter_delays_each_firing_by_what_next_runs_says() {
    let world = World::at("2026-11-20T00:00:00Z");
    let scheduler = world.start(&schedule(cron("0 2 * * *", "UTC")).jitter(Duration::from_secs(600))).await;
    let at = scheduler.next_runs()[0].at;
    assert!(at > utc("2026-11-20T02:00:00Z") && at <= utc("2026-11-20T02:10:00Z"), "{at}");
    world.run_until(&scheduler, "2026-11-20T12:00:00Z").await;
    assert_eq!(lock(&world.jobs.fired)[0].0, at);
    assert_eq!(world.fired().len(), 1);
}

#[tokio::test]
async fn ticks_while_a_job_runs_are_one_firing_after_it() {
    let world = World::at("2026-11-20T00:30:00Z");
    let scheduler = world.start(&schedule(cron("0 * * * *", "UTC"))).await;
    world.wait_until("2026-11-20T04:30:00Z").await;
    assert_eq!(world.fired(), ["20T01:00:00"]);
    assert!(scheduler.next_runs()[0].running);
    world.end(&scheduler).await;
    assert_eq!(world.fired(), ["20T01:00:00", "20T04:30:00"]);
    world.end(&scheduler).await;
    assert!(!scheduler.next_runs()[0].running);
    world.run_until(&scheduler, "2026-11-20T05:30:00Z").await;
    assert_eq!(world.fired(), ["20T01:00:00", "20T04:30:00", "20T05:00:00"]);
}

#[tokio::test]
async fn a_window_waits_for_the_previous_job_and_is_lost_when_it_closes_before() {
    let world = World::at("2026-11-20T12:00:00Z");
    let scheduler = world.start(&schedule(daily("12:00", "12:30", "UTC"))).await;
    world.wait_until("2026-11-21T12:20:00Z").await;
    world.end(&scheduler).await;
    assert_eq!(world.fired(), ["20T12:00:00", "21T12:20:00"]);
    world.wait_until("2026-11-22T12:30:00Z").await;
    world.end(&scheduler).await;
    world.run_until(&scheduler, "2026-11-23T11:00:00Z").await;
    assert_eq!(world.fired(), ["20T12:00:00", "21T12:20:00"]);
}

#[tokio::test]
async fn an_interval_counts_from_the_start_the_end_of_a_run_and_a_restart() {
    let world = World::at("2026-11-20T00:00:00Z");
    let scheduler = world.start(&schedule(interval(3600))).await;
    world.wait_until("2026-11-20T01:20:00Z").await;
    assert_eq!(world.fired(), ["20T01:00:00"]);
    world.end(&scheduler).await;
    world.wait_until("2026-11-20T02:00:00Z").await;
    scheduler.restart("nightly");
    world.wait_until("2026-11-20T02:59:59Z").await;
    assert_eq!(world.fired().len(), 1);
    world.run_until(&scheduler, "2026-11-20T03:30:00Z").await;
    assert_eq!(world.fired(), ["20T01:00:00", "20T03:00:00"]);
}

#[tokio::test]
async fn errors_of_state_and_service_are_survived() {
    let world = World::at("2026-11-20T00:30:00Z");
    let scheduler = world.start(&schedule(cron("0 * * * *", "UTC"))).await;
    for (hour, fail) in [(1, 0), (2, 1), (3, 2), (4, 3), (5, 9)] {
        world.run_until(&scheduler, &format!("2026-11-20T{hour:02}:59:00Z")).await;
        world.state.fail_next(fail);
        world.jobs.failing.store(fail, Ordering::Relaxed);
        world.state.lose_answers(fail);
    }
    world.run_until(&scheduler, "2026-11-20T06:59:00Z").await;
    let hours: Vec<String> = world.fired().iter().map(|at| at[3..5].to_string()).collect();
    assert_eq!(hours, ["01", "02", "03", "04", "05", "06"], "{:?}", world.fired());
}
