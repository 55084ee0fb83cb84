//! When a call is attempted again.

use backup_core::{Effect, ErrorKind};

use super::support::{Out, Site, reading, seconds};
use crate::{Call, CallLimits, Repeat};

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_a_bound_and_are_half_by_chance() {
    let site = Site::new(CallLimits::default());
    let error = site.call(&reading(), &[Out::Sent]).await.unwrap_err();
    assert_eq!(error.to_string(), "s3 Get: attempt 10, the last: attempt 10 failed [remote.overloaded]");
    let wholes = [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20.0, 20.0];
    assert_eq!(site.pauses().len(), wholes.len());
    for (pause, whole) in site.pauses().into_iter().zip(wholes) {
        assert!(pause >= seconds(whole / 2.0) && pause <= seconds(whole), "{pause:?} is not of {whole} s");
    }
    let other = Site::seeded(CallLimits::default(), 2);
    other.call(&reading(), &[Out::Sent]).await.unwrap_err();
    assert!(site.pauses().iter().zip(other.pauses()).all(|(one, other)| *one != other), "nothing is by chance");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_for_a_pause_gets_it_up_to_a_bound() {
    for (asked, least, most) in [(7, 7.0, 7.7), (120, 120.0, 132.0), (86_400, 120.0, 132.0), (0, 0.1, 0.2)] {
        let site = Site::new(CallLimits::default());
        assert_eq!(site.call(&reading(), &[Out::Asked(asked), Out::Well]).await.unwrap(), 2);
        let pause = site.pauses()[0];
        assert!(pause >= seconds(least) && pause <= seconds(most), "asked for {asked} s: {pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_attempt_that_goes_well_is_the_last() {
    let site = Site::new(CallLimits::default());
    assert_eq!(site.call(&reading(), &[Out::Sent, Out::Unsent, Out::Well, Out::Sent]).await.unwrap(), 3);
    assert_eq!(site.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_asked_for_again() {
    let site = Site::new(CallLimits::default());
    let error = site.call(&reading(), &[Out::Refused]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(site.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_repeated_is_repeated_only_while_nothing_was_sent() {
    let call = Call::changing("Post", Repeat::IfUnsent);
    let site = Site::new(CallLimits::default());
    assert_eq!(site.call(&call, &[Out::Unsent, Out::Unsent, Out::Well]).await.unwrap(), 3);
    let site = Site::new(CallLimits::default());
    let error = site.call(&call, &[Out::Unsent, Out::Sent, Out::Well]).await.unwrap_err();
    assert_eq!((site.asked().len(), error.effect()), (2, Effect::Unknown));
    let site = Site::new(CallLimits::default());
    let error = site.call(&call, &[Out::Hangs]).await.unwrap_err();
    assert_eq!((site.asked().len(), error.effect(), error.code().name), (1, Effect::Unknown, "remote.timeout"));
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_repetitions_empties_and_is_earned_back() {
    let site = Site::new(CallLimits { parallel: 1, attempts: 2, ..CallLimits::default() });
    for _ in 0..200 {
        site.call(&reading(), &[Out::Sent]).await.unwrap_err();
    }
    let made = || site.told.0.lock().unwrap().last().unwrap().attempts;
    assert_eq!(made(), 2);
    site.call(&reading(), &[Out::Sent]).await.unwrap_err();
    assert_eq!(made(), 1, "the budget is not empty");
    for _ in 0..5 {
        site.call(&reading(), &[Out::Sent]).await.unwrap_err();
        assert_eq!(made(), 1);
        site.call(&reading(), &[Out::Well]).await.unwrap();
    }
    site.call(&reading(), &[Out::Sent]).await.unwrap_err();
    assert_eq!(made(), 2, "five calls that ended earn one repetition");
}

#[tokio::test(start_paused = true)]
async fn a_full_budget_lets_every_parallel_call_use_up_its_attempts() {
    let site = Site::new(CallLimits { parallel: 50, attempts: 10, ..CallLimits::default() });
    let calls = (0..50).map(|_| async { site.call(&reading(), &[Out::Sent]).await.unwrap_err() });
    futures::future::join_all(calls).await;
    assert!(site.told.0.lock().unwrap().iter().all(|record| record.attempts == 10));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_before_the_pause_is_over_gives_the_real_error_at_once() {
    let mut site = Site::new(CallLimits::default());
    site.cx = site.cx.with_limit(seconds(5.0));
    let error = site.call(&reading(), &[Out::Asked(6)]).await.unwrap_err();
    assert_eq!(error.code().name, "remote.overloaded", "{error}");
    assert_eq!(site.asked().len(), 1);
    assert_eq!(site.told.0.lock().unwrap()[0].elapsed, seconds(0.0), "nobody waited");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_an_attempt_is_the_jobs_own_error() {
    let mut site = Site::new(CallLimits::default());
    site.cx = site.cx.with_limit(seconds(5.0));
    let call = Call::changing("Put", Repeat::Always);
    let error = site.call(&call, &[Out::Hangs]).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("job.deadline", Effect::Unknown));
    assert_eq!(site.told.0.lock().unwrap()[0].elapsed, seconds(5.0));
}
