//! Whether an error says rightly if something happened.

use backup_core::{Effect, ErrorKind};

use super::support::{Out, Site, seconds};
use crate::{Call, CallLimits, Repeat};

#[tokio::test(start_paused = true)]
async fn the_effect_is_unknown_once_an_attempt_may_have_changed_something() {
    let changing = Call::changing("Put", Repeat::Always);
    let limits = CallLimits { attempts: 2, ..CallLimits::default() };
    for (outs, effect) in [
        (&[Out::Unsent, Out::Unsent][..], Effect::None),
        (&[Out::Sent, Out::Sent], Effect::Unknown),
        (&[Out::Sent, Out::Unsent], Effect::Unknown),
        (&[Out::Unsent, Out::Sent], Effect::Unknown),
        (&[Out::Hangs, Out::Unsent], Effect::Unknown),
        (&[Out::Refused], Effect::None),
        (&[Out::Unsent, Out::Refused], Effect::None),
        // The answer is about the second attempt; the first one may be done.
        (&[Out::Sent, Out::Refused], Effect::Unknown),
        (&[Out::Hangs, Out::Refused], Effect::Unknown),
    ] {
        let error = Site::new(limits.clone()).call(&changing, outs).await.unwrap_err();
        assert_eq!(error.effect(), effect, "{outs:?}: {error}");
        let error = Site::new(limits.clone()).call(&Call::reading("Get"), outs).await.unwrap_err();
        assert_eq!(error.effect(), Effect::None, "reading, {outs:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_in_any_wait_ends_the_call_with_the_right_effect() {
    let put = Call::changing("Put", Repeat::Always);
    let heavy = put.clone().bytes(1000);
    let limits = CallLimits { parallel: 1, bytes_per_second: Some(100), ..CallLimits::default() };
    for (place, call, outs, attempts, effect) in [
        ("the queue", &put, &[Out::Well][..], 0, Effect::None),
        ("the bandwidth", &heavy, &[Out::Well], 0, Effect::None),
        ("the attempt", &put, &[Out::Hangs], 1, Effect::Unknown),
        ("the pause after nothing was sent", &put, &[Out::Unsent], 1, Effect::None),
        ("the pause", &put, &[Out::Sent], 1, Effect::Unknown),
    ] {
        let mut site = Site::new(limits.clone());
        site.clock.auto_advance(false);
        let other = site.clone();
        let cancel = site.cx.cancel_token().clone();
        site.cx = site.cx.with_limit(seconds(1e6));
        let mut sleepers = 1;
        let _held = match place {
            "the queue" => {
                let holder = tokio::spawn(async move { other.call(&Call::reading("Get"), &[Out::Hangs]).await });
                site.clock.wait_for_sleepers(1).await;
                sleepers += 1;
                Some(holder)
            }
            "the bandwidth" => {
                site.calls.paced(&site.cx, 1000).await.unwrap();
                None
            }
            _ => None,
        };
        // The deadline's own sleep, and in all places but the queue another one.
        sleepers += u64::from(place != "the queue") as usize;
        let (task, told) = (site.clone(), site.told.clone());
        let (call, outs) = (call.clone(), outs.to_vec());
        let waiting = tokio::spawn(async move { task.call(&call, &outs).await });
        site.clock.wait_for_sleepers(sleepers).await;
        cancel.cancel();
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Cancelled, effect), "in {place}");
        let told = told.0.lock().unwrap();
        let record = told.iter().find(|record| record.operation == "Put").unwrap();
        assert_eq!((record.attempts, record.failed), (attempts, Some(ErrorKind::Cancelled)), "in {place}");
    }
}
