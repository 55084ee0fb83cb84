//! How many jobs run, wait, and are refused.

use std::time::Duration;

use backup_core::BackupReader;
use backup_core::service::{JobState, Limits, SubmitOptions};

use crate::gated::{Fate, Gated};
use crate::{Serving, settle};

#[tokio::test]
async fn a_set_has_one_writer_and_other_sets_do_not_wait_for_it() {
    let serving = Serving::start(Limits::default().running(3)).await;
    let (one, other) = (Gated::closed(), Gated::closed());
    let mut handles = Vec::new();
    for _ in 0..5 {
        handles.push(serving.service.backup(&serving.target("a", &one), SubmitOptions::default()).await.unwrap());
    }
    handles.push(serving.service.backup(&serving.target("b", &other), SubmitOptions::default()).await.unwrap());
    settle().await;
    assert_eq!((one.inside(), other.inside()), (1, 1));
    assert_eq!(serving.service.load(), (2, 4));
    for _ in 0..5 {
        one.let_through(1);
        one.change();
        settle().await;
    }
    other.let_through(1);
    for handle in handles {
        handle.wait().await.unwrap();
    }
    assert_eq!(one.most(), 1);
    settle().await;
    assert_eq!(serving.service.load(), (0, 0));
}

#[tokio::test]
async fn no_more_jobs_run_than_may_and_the_others_come_in_order() {
    let serving = Serving::start(Limits::default().running(2)).await;
    let source = Gated::closed();
    let mut handles = Vec::new();
    for number in 0..6 {
        let target = serving.target(&format!("set{number}"), &source);
        handles.push(serving.service.backup(&target, SubmitOptions::default()).await.unwrap());
        settle().await;
    }
    for ended in 0..6 {
        let states: Vec<_> = handles.iter().map(|handle| handle.record().state.is_over()).collect();
        assert_eq!(states.iter().filter(|over| **over).count(), ended);
        assert!(source.inside() <= 2);
        source.let_through(1);
        settle().await;
    }
    assert_eq!(source.most(), 2);
}

#[tokio::test]
async fn a_job_that_will_not_wait_is_refused_when_its_set_or_every_place_is_busy() {
    let serving = Serving::start(Limits::default().running(2)).await;
    let source = Gated::closed();
    let first = serving.service.backup(&serving.target("a", &source), SubmitOptions::default().no_wait()).await.unwrap();
    let same_set = serving.service.backup(&serving.target("a", &source), SubmitOptions::default().no_wait()).await;
    assert_eq!(same_set.unwrap_err().code().name, "lease.busy");
    let second = serving.service.backup(&serving.target("b", &source), SubmitOptions::default().no_wait()).await.unwrap();
    let third = serving.service.backup(&serving.target("c", &source), SubmitOptions::default().no_wait()).await;
    assert_eq!(third.unwrap_err().code().name, "service.busy");
    source.let_through(2);
    first.wait().await.unwrap();
    second.wait().await.unwrap();
    settle().await;
    // The refused ones left nothing behind.
    assert_eq!((serving.service.jobs().len(), serving.service.load()), (2, (0, 0)));
}

#[tokio::test]
async fn the_queue_has_an_end() {
    let serving = Serving::start(Limits::default().running(1).queued(3)).await;
    let source = Gated::closed();
    let target = serving.target("a", &source);
    let first = serving.service.backup(&target, SubmitOptions::default()).await.unwrap();
    first.started().await;
    let mut handles = Vec::new();
    for _ in 0..3 {
        handles.push(serving.service.backup(&target, SubmitOptions::default()).await.unwrap());
    }
    let refused = serving.service.backup(&target, SubmitOptions::default()).await.unwrap_err();
    assert_eq!(refused.code().name, "service.busy");
    source.let_through(4);
    first.wait().await.unwrap();
    for handle in handles {
        handle.wait().await.unwrap();
    }
    settle().await;
    assert!(serving.service.backup(&target, SubmitOptions::default()).await.is_ok());
}

#[tokio::test]
async fn a_cancelled_job_ends_whether_it_runs_or_waits() {
    let serving = Serving::start(Limits::default().running(1)).await;
    let source = Gated::closed();
    let running = serving.service.backup(&serving.target("a", &source), SubmitOptions::default()).await.unwrap();
    running.started().await;
    let queued = serving.service.backup(&serving.target("b", &source), SubmitOptions::default()).await.unwrap();
    settle().await;
    for handle in [queued, running] {
        let id = handle.id().clone();
        serving.service.cancel(&id).unwrap();
        assert_eq!(handle.wait().await.unwrap_err().code().name, "job.cancelled");
        assert_eq!(serving.service.job(&id).unwrap().state, JobState::Cancelled);
    }
    assert!(serving.service.list(&serving.target("a", &source)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_time_limit_counts_from_the_start_and_not_from_the_submission() {
    let serving = Serving::start(Limits::default().running(1)).await;
    let source = Gated::closed();
    let minute = Duration::from_secs(60);
    let first = serving.service.backup(&serving.target("a", &source), SubmitOptions::default()).await.unwrap();
    let limited = SubmitOptions::default().time_limit(minute);
    let second = serving.service.backup(&serving.target("b", &source), limited).await.unwrap();
    settle().await;
    serving.world.clock.advance(minute * 2);
    settle().await;
    source.let_through(1);
    first.wait().await.unwrap();
    second.started().await;
    settle().await;
    assert_eq!(source.inside(), 1, "the second began with its whole time");
    serving.world.clock.advance(minute * 2);
    assert_eq!(second.wait().await.unwrap_err().code().name, "job.deadline");
}

#[tokio::test]
async fn a_thousand_good_and_bad_jobs_leak_no_place() {
    let serving = Serving::start(Limits::default().running(3).queued(20)).await;
    let source = Gated::open();
    let (mut accepted, mut refused) = (0, 0);
    for burst in 0..100_u32 {
        source.fate([Fate::Well, Fate::Fails, Fate::Panics][burst as usize % 3]);
        let submissions = (burst * 10..burst * 10 + 10).map(|number| {
            let target = serving.target(&format!("set{}", number % 7), &source);
            let options = if number % 2 == 0 { SubmitOptions::default().no_wait() } else { SubmitOptions::default() };
            let service = serving.service.clone();
            async move { (number, service.backup(&target, options).await) }
        });
        for (number, submitted) in futures::future::join_all(submissions).await {
            match submitted {
                Ok(handle) if number % 5 == 0 => handle.cancel(),
                Ok(_) => accepted += 1,
                Err(_) => refused += 1,
            }
        }
        settle().await;
    }
    assert!(accepted > 0 && refused > 0, "{accepted} {refused}");
    while serving.service.load() != (0, 0) {
        settle().await;
    }
    assert!(serving.service.jobs().iter().all(|job| job.state.is_over()));
    assert!(source.most() <= 3);
}

#[tokio::test]
async fn readers_that_stand_still_keep_no_backup_waiting_and_the_next_reader_is_told() {
    let serving = Serving::start(Limits::default().read_memory(1024)).await;
    let source = Gated::open();
    let target = serving.target("a", &source);
    let done = serving.service.backup(&target, SubmitOptions::default()).await.unwrap().wait().await.unwrap();
    let (cx, backup) = serving.service.open(&target, &done.outcome.backup().id).await.unwrap();
    let name = backup.artifacts().remove(0);
    let _held = backup.open_stored(&cx, &name, None).await.unwrap();
    source.change();
    serving.service.backup(&target, SubmitOptions::default()).await.unwrap().wait().await.unwrap();
    let next = tokio::spawn(async move { backup.open_stored(&cx, &name, None).await.map(drop) });
    settle().await;
    serving.world.clock.advance(Duration::from_secs(30));
    assert_eq!(next.await.unwrap().unwrap_err().code().name, "store.busy");
}

#[tokio::test]
async fn a_crowd_that_lists_shares_looks_and_sees_what_was_there_when_it_asked() {
    let serving = Serving::start(Limits::default()).await;
    let target = serving.target("a", &Gated::open());
    serving.service.backup(&target, SubmitOptions::default()).await.unwrap().wait().await.unwrap();
    let list = || {
        let (service, target) = (serving.service.clone(), target.clone());
        tokio::spawn(async move { service.list(&target).await.unwrap().len() })
    };
    list().await.unwrap();
    // A store that takes its time, so that the questions meet.
    serving.world.store.set_jitter(1);
    let before = serving.world.store.op_count();
    list().await.unwrap();
    let alone = serving.world.store.op_count() - before;
    let crowd: Vec<_> = (0..50).map(|_| list()).collect();
    for listed in crowd {
        assert_eq!(listed.await.unwrap(), 1);
    }
    let together = serving.world.store.op_count() - before - alone;
    assert!(together <= alone * 2, "{together} operations for a crowd, {alone} for one");
}
