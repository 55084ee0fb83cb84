use std::time::Duration;

use super::*;
use crate::error::{Effect, codes};
use crate::key::KeyPrefix;
use crate::store::{ListOptions, PutOptions, ReadOptions, Store, StoreExt};
use crate::testkit::SimStore;
use crate::testkit::sim::tests::{key, sim};
use crate::{Bytes, Error, JobContext, Result};
use futures::TryStreamExt;

fn one(rule: FaultRule) -> FaultPlan {
    FaultPlan::seeded(7).rule(rule)
}

async fn put(store: &SimStore, cx: &JobContext, name: &str) -> Result<()> {
    store.put(cx, &key(name), Bytes::from("0123456789"), PutOptions::if_absent()).await.map(drop)
}

async fn names(store: &SimStore, cx: &JobContext) -> Vec<String> {
    let all = store.list_all(cx, &KeyPrefix::root()).await.unwrap();
    all.into_iter().map(|meta| meta.key.to_string()).collect()
}

fn outcome(error: &Error) -> (&'static str, Effect) {
    (error.code().name, error.effect())
}

#[tokio::test]
async fn an_error_before_has_no_effect_and_one_after_has() {
    let (store, cx, _) = sim();
    let before = FaultRule::new(Fault::ErrorBefore(&codes::STORE_IO)).key(|key| key == "a");
    let after = FaultRule::new(Fault::ErrorAfterEffect).key(|key| key == "b");
    let busy = FaultRule::new(Fault::Throttle).key(|key| key == "c").nth(1);
    store.set_faults(FaultPlan::seeded(7).rule(before).rule(after).rule(busy));
    assert_eq!(outcome(&put(&store, &cx, "a").await.unwrap_err()), ("store.io", Effect::None));
    assert_eq!(outcome(&put(&store, &cx, "b").await.unwrap_err()), ("store.unavailable", Effect::Unknown));
    assert_eq!(outcome(&put(&store, &cx, "c").await.unwrap_err()), ("store.busy", Effect::None));
    put(&store, &cx, "c").await.unwrap();
    assert_eq!(store.keys(), ["b", "c"]);
    store.verify_all_faults_exercised();
}

#[tokio::test]
async fn a_timeout_sometimes_takes_effect_and_the_seed_decides_when() {
    let stored = async |seed: u64| {
        let (store, cx, _) = sim();
        store.set_faults(FaultPlan::seeded(seed).rule(FaultRule::new(Fault::Timeout).on([OpKind::Put])));
        for n in 0..20 {
            let error = put(&store, &cx, &format!("{n:02}")).await.unwrap_err();
            assert_eq!(error.effect(), Effect::Unknown);
        }
        store.keys()
    };
    let first = stored(1).await;
    assert!((1..20).contains(&first.len()), "{first:?}");
    assert_eq!(first, stored(1).await);
    assert_ne!(first, stored(2).await);
}

#[tokio::test]
async fn a_late_effect_arrives_when_its_time_has_come() {
    let (store, cx, clock) = sim();
    store.set_faults(one(FaultRule::new(Fault::LateEffect(Duration::from_secs(60))).nth(1)));
    assert_eq!(put(&store, &cx, "a").await.unwrap_err().effect(), Effect::Unknown);
    clock.advance(Duration::from_secs(59));
    assert!(store.keys().is_empty());
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.keys(), ["a"]);
}

#[tokio::test]
async fn a_sleeper_takes_effect_after_its_sleep_whoever_cancels() {
    let (store, cx, clock) = sim();
    store.set_faults(one(FaultRule::new(Fault::SleepPast(Duration::from_secs(3600)))));
    let (sleeper, context) = (store.clone(), cx.clone());
    let task = tokio::spawn(async move { put(&sleeper, &context, "a").await });
    clock.wait_for_sleepers(1).await;
    cx.cancel_token().cancel();
    clock.advance(Duration::from_secs(3599));
    assert!(store.keys().is_empty());
    clock.advance(Duration::from_secs(1));
    task.await.unwrap().unwrap();
    assert_eq!(store.keys(), ["a"]);
}

#[tokio::test]
async fn a_sleeper_whose_process_died_meanwhile_changes_nothing() {
    let (store, cx, clock) = sim();
    store.set_faults(one(FaultRule::new(Fault::SleepPast(Duration::from_secs(5)))));
    let sleeper = store.clone();
    let task = tokio::spawn(async move { put(&sleeper, &cx, "a").await });
    clock.wait_for_sleepers(1).await;
    let store = store.restart();
    clock.advance(Duration::from_secs(5));
    task.await.unwrap().unwrap_err();
    assert!(store.keys().is_empty());
}

async fn read_with(fault: Fault, options: ReadOptions) -> (Vec<u8>, Option<Error>) {
    let (store, cx, _) = sim();
    store.set_read_piece(3);
    put(&store, &cx, "a").await.unwrap();
    store.set_faults(one(FaultRule::new(fault)));
    let mut body = store.read(&cx, &key("a"), options).await.unwrap().body;
    let mut bytes = Vec::new();
    loop {
        match body.try_next().await {
            Ok(Some(piece)) => bytes.extend_from_slice(&piece),
            Ok(None) => return (bytes, None),
            Err(error) => return (bytes, Some(error)),
        }
    }
}

#[tokio::test]
async fn reads_break_off_aloud_or_silently_or_lie() {
    let (bytes, error) = read_with(Fault::ShortRead(4), ReadOptions::default()).await;
    assert_eq!((bytes.as_slice(), error.unwrap().code()), (&b"0123"[..], &codes::STORE_IO));
    let (bytes, error) = read_with(Fault::SilentShortRead(4), ReadOptions::default()).await;
    assert_eq!((bytes.as_slice(), error.is_none()), (&b"0123"[..], true));
    let flip = Fault::FlipBitRead { byte: 5, bit: 0 };
    assert_eq!(read_with(flip, ReadOptions::default()).await.0, b"0123446789");
    assert_eq!(read_with(flip, ReadOptions::range(4..7)).await.0, b"446");
    assert_eq!(read_with(flip, ReadOptions::range(6..8)).await.0, b"67", "the byte is not in this range");
}

#[tokio::test]
async fn a_lost_update_is_acknowledged_and_gone() {
    let (store, cx, _) = sim();
    put(&store, &cx, "old").await.unwrap();
    store.set_faults(one(FaultRule::new(Fault::LostUpdate)));
    put(&store, &cx, "new").await.unwrap();
    assert_eq!(store.delete(&cx, &[key("old")]).await.unwrap().deleted, [key("old")]);
    assert_eq!(store.keys(), ["old"]);
}

#[tokio::test]
async fn listings_lag_for_so_many_listings_or_until_settled() {
    let (store, cx, _) = sim();
    put(&store, &cx, "old").await.unwrap();
    store.set_faults(one(FaultRule::new(Fault::ListLag(2))));
    put(&store, &cx, "new").await.unwrap();
    store.delete(&cx, &[key("old")]).await.unwrap();
    store.clear_faults();
    store.head(&cx, &key("new")).await.unwrap();
    assert_eq!(names(&store, &cx).await, ["old"]);
    assert_eq!(names(&store, &cx).await, ["old"]);
    assert_eq!(names(&store, &cx).await, ["new"]);

    store.set_faults(one(FaultRule::new(Fault::ListLag(100))));
    put(&store, &cx, "next").await.unwrap();
    assert_eq!(names(&store, &cx).await, ["new"]);
    store.settle();
    assert_eq!(names(&store, &cx).await, ["new", "next"]);
}

#[tokio::test]
async fn a_listing_that_began_before_goes_on_over_pages() {
    let (store, cx, _) = sim();
    store.set_list_page(2);
    for name in ["a", "b", "c", "d"] {
        put(&store, &cx, name).await.unwrap();
    }
    let before = store.op_count();
    let after = ListOptions::start_after(key("a"));
    let listed: Vec<_> = store.list(&cx, &KeyPrefix::root(), after).try_collect().await.unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(store.op_count() - before, 2, "one operation a page");
}

#[tokio::test]
async fn a_fault_that_never_happened_is_reported() {
    let (store, cx, _) = sim();
    store.set_faults(one(FaultRule::new(Fault::Throttle).on([OpKind::Sweep])));
    put(&store, &cx, "a").await.unwrap();
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| store.verify_all_faults_exercised()));
    let text = *panic.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("Throttle"), "{text}");
}

#[tokio::test]
async fn a_hanging_call_ends_with_its_job_only() {
    let (store, cx, clock) = sim();
    store.set_faults(one(FaultRule::new(Fault::Hang)));
    let limited = cx.with_limit(Duration::from_secs(30));
    let caller = store.clone();
    let task = tokio::spawn(async move { put(&caller, &limited, "a").await });
    clock.wait_for_sleepers(1).await;
    clock.advance(Duration::from_secs(30));
    assert_eq!(outcome(&task.await.unwrap().unwrap_err()), ("job.deadline", Effect::Unknown));
    assert!(store.keys().is_empty());
}
