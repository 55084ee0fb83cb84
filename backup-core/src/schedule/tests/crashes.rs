//! Crashes at each step of a firing.

use super::*;
use crate::testkit::CrashMode;

#[tokio::test]
async fn a_crash_at_any_change_of_the_state_leaves_one_firing() {
    for trigger in [daily("22:00", "23:00", "UTC"), cron("0 22 * * *", "UTC")] {
        for n in 1..=3 {
            for mode in CrashMode::ALL {
                let mut world = World::at("2026-11-20T21:59:30Z");
                let schedule = schedule(trigger.clone()).catch_up(true);
                let scheduler = world.start(&schedule).await;
                // An earlier run, so that there is something to catch up from.
                world.run_until(&scheduler, "2026-11-21T21:59:30Z").await;
                world.state.crash_at(n, mode);
                world.run_until(&scheduler, "2026-11-21T22:10:00Z").await;
                let scheduler = world.restart(scheduler, &schedule).await;
                world.run_until(&scheduler, "2026-11-21T22:30:00Z").await;
                let scheduler = world.restart(scheduler, &schedule).await;
                world.run_until(&scheduler, "2026-11-22T21:30:00Z").await;
                assert_eq!(world.fired().len(), 2, "{trigger:?} {n} {mode:?}: {:?}", world.fired());
            }
        }
    }
}

#[tokio::test]
async fn a_crash_after_the_job_was_accepted_fires_no_second_one() {
    let mut world = World::at("2026-11-20T21:59:30Z");
    let schedule = schedule(daily("22:00", "23:00", "UTC"));
    let scheduler = world.start(&schedule).await;
    world.jobs.loses_answers.store(true, Ordering::Relaxed);
    world.wait_until("2026-11-20T22:10:00Z").await;
    assert_eq!(world.fired(), ["20T22:00:00"]);
    world.jobs.loses_answers.store(false, Ordering::Relaxed);
    let scheduler = world.restart(scheduler, &schedule).await;
    world.run_until(&scheduler, "2026-11-21T22:30:00Z").await;
    assert_eq!(world.fired(), ["20T22:00:00", "21T22:00:00"]);
}

#[tokio::test]
async fn a_crash_before_the_job_was_accepted_fires_the_same_job_inside_the_window_only() {
    for (until, fires) in [("2026-11-20T22:59:59Z", true), ("2026-11-20T23:00:00Z", false)] {
        let mut world = World::at("2026-11-20T21:59:30Z");
        let schedule = schedule(daily("22:00", "23:00", "UTC"));
        let scheduler = world.start(&schedule).await;
        world.busy(true);
        world.wait_until("2026-11-20T22:10:00Z").await;
        world.die(scheduler).await;
        world.busy(false);
        world.wait_until(until).await;
        let _scheduler = world.start(&schedule).await;
        assert_eq!(world.fired().len(), usize::from(fires), "{until}");
    }
}

#[tokio::test]
async fn a_begun_firing_that_is_set_again_while_it_waits_still_fires() {
    for set_back in [false, true] {
        let mut world = World::at("2026-11-20T21:59:30Z");
        let schedule = schedule(daily("22:00", "23:00", "UTC"));
        let scheduler = world.start(&schedule).await;
        world.busy(true);
        world.wait_until("2026-11-20T22:10:00Z").await;
        let scheduler = world.restart(scheduler, &schedule).await;
        for _ in 0..3 {
            world.clock.pass(Duration::from_secs(60)).await;
            scheduler.set(schedule.clone()).unwrap();
        }
        if set_back {
            world.clock.shift_wall(-TimeDelta::seconds(120));
            world.clock.pass(Duration::from_secs(60)).await;
        }
        world.busy(false);
        world.wait_until("2026-11-20T22:30:00Z").await;
        assert_eq!(world.fired().len(), 1, "{set_back}: {:?}", world.fired());
    }
}

#[tokio::test]
async fn a_begun_tick_is_fired_after_a_crash_without_catch_up_too() {
    let mut world = World::at("2026-11-20T21:59:30Z");
    let schedule = schedule(cron("0 22 * * *", "UTC"));
    let scheduler = world.start(&schedule).await;
    world.busy(true);
    world.wait_until("2026-11-20T22:10:00Z").await;
    world.busy(false);
    let scheduler = world.restart(scheduler, &schedule).await;
    world.run_until(&scheduler, "2026-11-21T21:00:00Z").await;
    assert_eq!(world.fired(), ["20T22:10:00"]);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_replaced() {
    use crate::state::{Expected, State};
    let world = World::at("2026-11-20T21:59:30Z");
    let damaged = Some(crate::Bytes::from("{"));
    world.state.compare_and_set("schedules/nightly", Expected::Any, damaged).await.unwrap();
    let scheduler = world.start(&schedule(cron("0 22 * * *", "UTC"))).await;
    world.run_until(&scheduler, "2026-11-21T22:30:00Z").await;
    assert_eq!(world.fired(), ["20T22:00:00", "21T22:00:00"]);
}
