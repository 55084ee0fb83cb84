//! What an observer is told.

use backup_core::ErrorKind;

use super::support::{Out, Record, Site, reading, seconds};
use crate::{CallLimits, Calls};

#[tokio::test(start_paused = true)]
async fn the_observer_is_told_once_for_each_call_however_it_ends() {
    let site = Site::new(CallLimits { attempts: 2, ..CallLimits::default() });
    site.call(&reading().bytes(7), &[Out::Unsent, Out::Well]).await.unwrap();
    site.call(&reading(), &[Out::Refused]).await.unwrap_err();
    site.call(&reading(), &[Out::Sent]).await.unwrap_err();
    // Dropped in the middle.
    let get = reading();
    assert!(futures::poll!(std::pin::pin!(site.call(&get, &[Out::Hangs]))).is_pending());
    let told = site.told.0.lock().unwrap().clone();
    let ends: Vec<_> = told.iter().map(|record| (record.failed, record.attempts)).collect();
    let failed =
        [(None, 2), (Some(ErrorKind::PermissionDenied), 1), (Some(ErrorKind::Unavailable), 2), (Some(ErrorKind::Cancelled), 1)];
    assert_eq!(ends, failed);
    let elapsed = told[0].elapsed;
    assert_eq!(told[0], Record { operation: "Get", failed: None, attempts: 2, elapsed, bytes: 7 });
    assert!(elapsed >= seconds(0.1), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn calls_go_without_an_observer_and_clones_share_their_limits() {
    let site = Site::new(CallLimits::default());
    let calls = Calls::new("s3", CallLimits { bytes_per_second: Some(100), ..CallLimits::default() });
    calls.paced(&site.cx, 100).await.unwrap();
    calls.clone().paced(&site.cx, 1).await.unwrap();
    assert_eq!(backup_core::Clock::monotonic(&*site.clock), seconds(1.0));
    assert_eq!(calls.service(), "s3");
    assert!(format!("{calls:?}").contains("bytes_per_second: Some(100)"));
}
