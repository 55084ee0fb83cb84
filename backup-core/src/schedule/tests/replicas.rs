//! Several processes on one state.

use super::*;

async fn replicas(world: &World, schedule: &Schedule) -> (Scheduler, Scheduler) {
    let first = world.start(schedule).await;
    let other = Arc::new(world.state.another_process());
    let second = Scheduler::start(other, world.environment.clone(), world.jobs.clone());
    second.set(schedule.clone()).unwrap();
    world.clock.pass(Duration::ZERO).await;
    (first, second)
}

async fn run_both(world: &World, both: &(Scheduler, Scheduler), until: &str) {
    world.run_all(&[&both.0, &both.1], utc(until)).await;
}

#[tokio::test]
async fn two_processes_fire_each_occurrence_once() {
    for trigger in [daily("22:00", "23:00", "UTC"), cron("0 22 * * *", "UTC"), interval(86400)] {
        let world = World::at("2026-11-20T21:00:00Z");
        let both = replicas(&world, &schedule(trigger.clone())).await;
        run_both(&world, &both, "2026-11-23T21:30:00Z").await;
        assert_eq!(world.fired().len(), 3, "{trigger:?}: {:?}", world.fired());
    }
}

#[tokio::test]
async fn no_second_run_begins_while_another_process_runs_one() {
    for (trigger, second) in [(cron("0 * * * *", "UTC"), "20T04:30"), (interval(3600), "20T05:30")] {
        let world = World::at("2026-11-20T00:30:00Z");
        let both = replicas(&world, &schedule(trigger)).await;
        world.wait_until("2026-11-20T04:30:00Z").await;
        assert_eq!(world.fired().len(), 1);
        world.end(&both.0).await;
        world.end(&both.1).await;
        world.wait_until("2026-11-20T05:31:00Z").await;
        assert!(world.fired()[1].starts_with(second), "{:?}", world.fired());
        assert_eq!(world.fired().len(), 2);
    }
}

#[tokio::test]
async fn a_survivor_goes_on_where_another_process_died_in_a_firing() {
    let mut world = World::at("2026-11-20T21:00:00Z");
    let schedule = schedule(daily("22:00", "23:00", "UTC"));
    let first = world.start(&schedule).await;
    world.busy(true);
    world.wait_until("2026-11-20T22:05:00Z").await;
    let survivor = Arc::new(world.state.another_process());
    let second = Scheduler::start(survivor, world.environment.clone(), world.jobs.clone());
    second.set(schedule.clone()).unwrap();
    world.die(first).await;
    world.busy(false);
    world.run_until(&second, "2026-11-21T21:00:00Z").await;
    assert_eq!(world.fired().len(), 1, "{:?}", world.fired());
}
