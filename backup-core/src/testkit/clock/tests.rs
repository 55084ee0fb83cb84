use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::testkit::test_environment;

#[tokio::test]
async fn a_sleep_ends_when_the_clock_has_advanced_far_enough_and_not_before() {
    let (_, clock) = test_environment(1);
    let (before, sleeper) = (clock.now(), clock.clone());
    let task = tokio::spawn(async move { sleeper.sleep(Duration::from_secs(10)).await });
    clock.wait_for_sleepers(1).await;
    clock.advance(Duration::from_secs(9));
    settle().await;
    assert!(!task.is_finished());
    clock.advance(Duration::from_secs(1));
    task.await.unwrap();
    assert_eq!(clock.sleepers(), 0);
    assert_eq!(clock.now() - before, TimeDelta::seconds(10));
    assert_eq!(clock.monotonic(), Duration::from_secs(10));
}

#[tokio::test]
async fn the_wall_can_be_set_back_without_touching_monotonic_time() {
    let (_, clock) = test_environment(1);
    let before = clock.now();
    clock.advance(Duration::from_secs(60));
    clock.shift_wall(TimeDelta::hours(-2));
    assert!(clock.now() < before);
    assert_eq!(clock.monotonic(), Duration::from_secs(60));
}

#[tokio::test]
async fn a_dropped_sleep_is_forgotten() {
    let (_, clock) = test_environment(1);
    let mut sleep = Box::pin(clock.sleep(Duration::from_secs(1)));
    assert!(futures::poll!(&mut sleep).is_pending());
    assert_eq!(clock.sleepers(), 1);
    drop(sleep);
    assert_eq!(clock.sleepers(), 0);
}

#[tokio::test]
async fn passing_time_wakes_a_loop_at_each_of_its_rounds() {
    let (_, clock) = test_environment(1);
    let rounds = Arc::new(AtomicU32::new(0));
    let (counter, sleeper) = (rounds.clone(), clock.clone());
    let task = tokio::spawn(async move {
        loop {
            sleeper.sleep(Duration::from_secs(10)).await;
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    clock.wait_for_sleepers(1).await;
    clock.pass(Duration::from_secs(60)).await;
    assert_eq!(rounds.load(Ordering::Relaxed), 6);
    task.abort();
}

async fn auto_advance_wakes_in_order() {
    let (_, clock) = test_environment(1);
    clock.auto_advance(true);
    let order = Arc::new(Mutex::new(Vec::new()));
    let sleeps = [300, 100, 200].map(|seconds| {
        let (clock, order) = (clock.clone(), order.clone());
        async move {
            clock.sleep(Duration::from_secs(seconds)).await;
            lock(&order).push((seconds, clock.monotonic().as_secs()));
        }
    });
    futures::future::join_all(sleeps).await;
    assert_eq!(*lock(&order), [(100, 100), (200, 200), (300, 300)]);
}

#[tokio::test]
async fn auto_advance_goes_to_the_next_wake_up_in_real_time() {
    auto_advance_wakes_in_order().await;
}

#[tokio::test(start_paused = true)]
async fn auto_advance_goes_to_the_next_wake_up_in_paused_time() {
    auto_advance_wakes_in_order().await;
}

#[tokio::test(start_paused = true)]
async fn auto_advance_does_not_run_a_deadline_down_while_blocking_work_runs() {
    let (environment, clock) = test_environment(1);
    clock.auto_advance(true);
    let cx = crate::testkit::test_context(&environment).with_limit(Duration::from_secs(5));
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let work = tokio::task::spawn_blocking(move || {
        // Ends only because the sender is dropped after a while of real time.
        let _ = wait.recv_timeout(Duration::from_millis(50));
        7
    });
    let answer = cx.run(async { Ok(work.await.unwrap()) }).await;
    drop(done);
    assert_eq!(answer.unwrap(), 7);
    assert_eq!(clock.monotonic(), Duration::ZERO);
}
