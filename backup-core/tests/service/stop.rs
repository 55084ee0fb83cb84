//! A service that is stopped.

use std::time::Duration;

use backup_core::service::{JobState, Limits, SubmitOptions};

use crate::gated::Gated;
use crate::{Serving, settle};

const GRACE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_runs_may_end_what_waits_is_dropped_and_nothing_new_comes() {
    let serving = Serving::start(Limits::default().running(1)).await;
    let source = Gated::closed();
    let target = serving.target("a", &source);
    let running = serving.service.backup(&target, SubmitOptions::default()).await.unwrap();
    running.started().await;
    let queued = serving.service.backup(&target, SubmitOptions::default()).await.unwrap();
    let stop = tokio::spawn({
        let service = serving.service.clone();
        async move { service.stop(GRACE).await }
    });
    settle().await;
    let refused = serving.service.backup(&target, SubmitOptions::default()).await.unwrap_err();
    assert_eq!(refused.code().name, "service.stopping");
    assert!(!stop.is_finished());
    assert_eq!(queued.record().state, JobState::Cancelled);
    source.let_through(1);
    running.wait().await.unwrap();
    stop.await.unwrap();
    assert_eq!(serving.service.list(&target).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_does_not_end_in_its_grace_is_cancelled_and_recorded() {
    let serving = Serving::start(Limits::default()).await;
    let source = Gated::closed();
    let target = serving.target("a", &source);
    let running = serving.service.backup(&target, SubmitOptions::default()).await.unwrap();
    running.started().await;
    settle().await;
    let stop = tokio::spawn({
        let service = serving.service.clone();
        async move { service.stop(GRACE).await }
    });
    settle().await;
    serving.world.clock.advance(GRACE);
    stop.await.unwrap();
    assert_eq!(running.record().state, JobState::Cancelled);
    let id = running.id().clone();
    let next = serving.restart(Limits::default()).await;
    assert_eq!(next.service.job(&id).unwrap().state, JobState::Cancelled, "recorded before the stop was over");
    assert_eq!(next.world.orphans().await, Vec::<String>::new());
}
