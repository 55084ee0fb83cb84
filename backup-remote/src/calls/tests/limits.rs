//! Parallel calls, bandwidth, time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use backup_core::Clock;
use futures::future::join_all;

use super::support::{Out, Site, reading, seconds};
use crate::{Attempt, CallLimits, Calls};

#[tokio::test(start_paused = true)]
async fn no_more_attempts_run_at_once_than_there_are_places() {
    let site = Site::new(CallLimits { parallel: 3, ..CallLimits::default() });
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let one = || async {
        let call = reading();
        let work = |_| async {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            site.clock.sleep(seconds(1.0)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Attempt::Ended(Ok(()))
        };
        site.calls.run(&site.cx, &call, work).await.unwrap();
    };
    join_all((0..10).map(|_| one())).await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(site.clock.monotonic(), seconds(4.0));
}

#[tokio::test(start_paused = true)]
async fn nobody_holds_a_place_in_a_pause() {
    let site = Site::new(CallLimits { parallel: 1, ..CallLimits::default() });
    let (get, outs) = (reading(), [Out::Asked(60), Out::Well]);
    let pausing = site.call(&get, &outs);
    let passing = async {
        site.call(&get, &[Out::Well]).await.unwrap();
        site.clock.monotonic()
    };
    let (paused, passed) = tokio::join!(biased; pausing, passing);
    paused.unwrap();
    assert!(passed < seconds(60.0), "{passed:?}");
}

#[tokio::test(start_paused = true)]
async fn bytes_pass_at_the_rate_each_attempt_counts_and_nothing_is_saved_up() {
    let site = Site::new(CallLimits { bytes_per_second: Some(100), attempts: 2, ..CallLimits::default() });
    let put = reading().bytes(50);
    site.call(&put, &[Out::Well]).await.unwrap();
    site.call(&put, &[Out::Unsent, Out::Well]).await.unwrap();
    site.call(&reading(), &[Out::Well]).await.unwrap();
    assert_eq!(site.asked(), [0.0, 0.5, 1.0, 1.0].map(seconds), "a call without bytes waits for none");
    site.clock.sleep(seconds(1000.0)).await;
    let start = site.clock.monotonic();
    join_all((0..5).map(|_| site.calls.paced(&site.cx, 100))).await;
    assert_eq!(site.clock.monotonic() - start, seconds(4.0));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_for_bandwidth_gives_it_back() {
    let site = Site::new(CallLimits { bytes_per_second: Some(100), ..CallLimits::default() });
    site.calls.paced(&site.cx, 100).await.unwrap();
    let hasty = site.cx.with_limit(seconds(0.5));
    site.calls.paced(&hasty, 1_000_000).await.unwrap_err();
    site.calls.paced(&site.cx, 100).await.unwrap();
    assert_eq!(site.clock.monotonic(), seconds(1.0));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_has_its_time_and_more_for_the_bytes_that_it_sends() {
    for (bytes, limit) in [(0, 60.0), (32 << 10, 61.0), (16 << 20, 60.0 + 512.0)] {
        let site = Site::new(CallLimits { attempts: 1, ..CallLimits::default() });
        let error = site.call(&reading().bytes(bytes), &[Out::Hangs]).await.unwrap_err();
        assert_eq!(error.code().name, "remote.timeout");
        assert_eq!(site.clock.monotonic(), seconds(limit), "{bytes} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_bandwidth_or_a_place_does_not_count_as_the_services_time() {
    let limits = CallLimits { parallel: 1, bytes_per_second: Some(1), attempts: 1, timeout_secs: 5, ..CallLimits::default() };
    let site = Site::new(limits);
    let call = reading().bytes(100);
    let calls = (0..3).map(|_| site.call(&call, &[Out::Well]));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(site.asked(), [0.0, 100.0, 200.0].map(seconds));
    assert_eq!(site.told.0.lock().unwrap()[2].elapsed, seconds(200.0), "the observer is outside of all waits");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_over_its_time_is_gone_before_the_next_one_begins() {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(false, Ordering::SeqCst);
        }
    }
    let site = Site::new(CallLimits { attempts: 3, ..CallLimits::default() });
    let running = Arc::new(AtomicBool::new(false));
    let call = reading();
    let attempt = |number| {
        assert!(!running.swap(true, Ordering::SeqCst), "attempt {} is still there", number - 1);
        let flag = Flag(running.clone());
        async move {
            let _flag = flag;
            std::future::pending::<Attempt<()>>().await
        }
    };
    site.calls.run(&site.cx, &call, attempt).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn limits_of_any_size_can_be_used() {
    let most = CallLimits {
        parallel: usize::MAX,
        bytes_per_second: Some(u64::MAX),
        attempts: u32::MAX,
        timeout_secs: u64::MAX,
        stall_secs: u64::MAX,
    };
    let least = CallLimits { parallel: 0, bytes_per_second: Some(0), attempts: 0, timeout_secs: 0, stall_secs: 0 };
    for limits in [most, least] {
        let site = Site::new(limits);
        assert_eq!(site.call(&reading().bytes(u64::MAX), &[Out::Well]).await.unwrap(), 1);
    }
}

#[test]
fn the_block_of_a_configuration_has_the_documented_keys_and_no_others() {
    let json =
        r#"{"parallel": 4, "bytes-per-second": 1000, "attempts": 3, "timeout-in-second": 5, "stall-timeout-in-second": 6}"#;
    let read: CallLimits = serde_json::from_str(json).unwrap();
    let meant = CallLimits { parallel: 4, bytes_per_second: Some(1000), attempts: 3, timeout_secs: 5, stall_secs: 6 };
    assert_eq!(read, meant);
    assert_eq!(serde_json::from_str::<CallLimits>("{}").unwrap(), CallLimits::default());
    assert!(serde_json::from_str::<CallLimits>(r#"{"retries": 4}"#).is_err());
    assert_eq!(Calls::new("s3", read.clone()).limits(), &read);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_keeps_the_service_busy_is_waited_for_longer() {
    for (patience, limit) in [(0.0, 60.0), (600.0, 660.0)] {
        let site = Site::new(CallLimits { attempts: 1, ..CallLimits::default() });
        let error = site.call(&reading().patience(seconds(patience)), &[Out::Hangs]).await.unwrap_err();
        assert_eq!((error.code().name, site.clock.monotonic()), ("remote.timeout", seconds(limit)));
    }
}
