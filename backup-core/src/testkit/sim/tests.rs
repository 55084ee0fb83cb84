use std::time::Duration;

use super::*;
use crate::error::{Effect, codes};
use crate::key::KeyPrefix;
use crate::name::JobId;
use crate::store::{ObjectWriter, PutOptions, Store, StoreExt, SweepOptions, WriteOptions};
use crate::testkit::{VirtualClock, test_context, test_environment};
use crate::{Bytes, JobContext};

pub(in crate::testkit) fn sim() -> (SimStore, JobContext, Arc<VirtualClock>) {
    let (environment, clock) = test_environment(1);
    (SimStore::new(clock.clone()), test_context(&environment), clock)
}

pub(in crate::testkit) fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

async fn put(store: &SimStore, cx: &JobContext, name: &str, body: &'static str) -> Result<()> {
    store.put(cx, &key(name), Bytes::from(body), PutOptions::if_absent()).await.map(drop)
}

async fn open(store: &SimStore, cx: &JobContext, name: &str) -> Box<dyn ObjectWriter> {
    store.writer(cx, &key(name), WriteOptions::new(cx.job().clone())).await.unwrap()
}

/// Nine operations: put, open, write, write, finish, head, list, read, delete.
async fn job(store: &SimStore, cx: &JobContext) -> Result<()> {
    put(store, cx, "a", "first").await?;
    let mut writer = store.writer(cx, &key("b"), WriteOptions::new(cx.job().clone())).await?;
    writer.write(Bytes::from("sec")).await?;
    writer.write(Bytes::from("ond")).await?;
    writer.finish().await?;
    store.head(cx, &key("b")).await?;
    store.list_all(cx, &KeyPrefix::root()).await?;
    store.get(cx, &key("b"), 100).await?;
    store.delete(cx, &[key("a")]).await?.into_result()
}

#[tokio::test]
async fn a_crash_at_each_step_leaves_the_effects_up_to_there() {
    let (calm, cx, clock) = sim();
    job(&calm, &cx).await.unwrap();
    assert_eq!(calm.op_count(), 9);
    // What is visible after so many effects.
    let visible: [&[&str]; 10] =
        [&[], &["a"], &["a"], &["a"], &["a"], &["a", "b"], &["a", "b"], &["a", "b"], &["a", "b"], &["b"]];
    for n in 1..=9 {
        for mode in CrashMode::ALL {
            let store = SimStore::new(clock.clone());
            store.crash_at(n, mode);
            let error = job(&store, &cx).await.unwrap_err();
            assert_eq!(error.code(), &codes::STORE_UNAVAILABLE, "{error}");
            assert!(store.is_dead());
            assert_eq!(store.op_count(), n, "nothing is counted after the crash");
            let effects = if mode == CrashMode::AfterEffect { n } else { n - 1 };
            let store = store.restart();
            assert_eq!(store.keys(), visible[effects as usize], "after {n} {mode:?}");
            let writing = (2..=4).contains(&effects);
            assert_eq!(store.unfinished(), usize::from(writing), "left-overs after {n} {mode:?}");
            store.list_all(&cx, &KeyPrefix::root()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_dead_process_stays_dead_and_so_do_its_writers() {
    let (old, cx, _) = sim();
    let mut writer = open(&old, &cx, "a").await;
    let new = old.restart();
    put(&old, &cx, "z", "x").await.unwrap_err();
    writer.write(Bytes::from("x")).await.unwrap_err();
    writer.finish().await.unwrap_err();
    put(&new, &cx, "b", "x").await.unwrap();
    assert_eq!(new.keys(), ["b"]);
    assert_eq!(new.unfinished(), 1);
}

#[tokio::test]
async fn a_machine_crash_loses_what_was_acknowledged_early_and_nothing_else() {
    let (store, cx, _) = sim();
    put(&store, &cx, "durable", "x").await.unwrap();
    store.acknowledge_early(true);
    put(&store, &cx, "early", "x").await.unwrap();
    let _left = open(&store, &cx, "unfinished").await;
    store.crash();
    put(&store, &cx, "late", "x").await.unwrap_err();
    let store = store.restart();
    assert_eq!(store.keys(), ["durable"]);
    assert_eq!(store.unfinished(), 1);
}

#[tokio::test]
async fn sweep_takes_left_overs_by_age_and_owner() {
    let (store, cx, clock) = sim();
    let other = JobId::new("0".repeat(32)).unwrap();
    drop(open(&store, &cx, "mine").await);
    drop(store.writer(&cx, &key("other"), WriteOptions::new(other.clone())).await.unwrap());
    let sweep = |keep: Vec<JobId>| store.sweep(&cx, SweepOptions::new(clock.now(), keep));
    assert_eq!(sweep(vec![]).await.unwrap().removed, 0, "too young");
    clock.advance(Duration::from_secs(1));
    assert_eq!(sweep(vec![other]).await.unwrap().removed, 1, "kept for its owner");
    assert_eq!(store.unfinished_writers()[0].0, key("other"));
    assert_eq!(sweep(vec![]).await.unwrap().removed, 1);
}

#[tokio::test]
async fn a_failed_write_latches_the_writer() {
    let (store, cx, _) = sim();
    let mut writer = open(&store, &cx, "a").await;
    let fault = crate::testkit::Fault::ErrorBefore(&codes::STORE_NO_SPACE);
    store.set_faults(FaultPlan::seeded(1).rule(crate::testkit::FaultRule::new(fault).nth(1)));
    assert_eq!(writer.write(Bytes::from("x")).await.unwrap_err().code(), &codes::STORE_NO_SPACE);
    assert_eq!(writer.write(Bytes::from("x")).await.unwrap_err().code(), &codes::STORE_WRITER_FAILED);
    let error = writer.finish().await.unwrap_err();
    assert_eq!((error.code(), error.effect()), (&codes::STORE_WRITER_FAILED, Effect::None));
    assert_eq!((store.keys().len(), store.unfinished()), (0, 0));
}

#[tokio::test]
async fn locked_objects_stay_until_their_time() {
    let (store, cx, clock) = sim();
    let options = PutOptions::if_absent().retain_until(Some(clock.now() + chrono::TimeDelta::hours(1)));
    store.put(&cx, &key("a"), Bytes::from("x"), options).await.unwrap();
    let report = store.delete(&cx, &[key("a")]).await.unwrap();
    assert_eq!(report.failed[0].1.code(), &codes::STORE_DENIED);
    clock.advance(Duration::from_secs(3601));
    assert_eq!(store.delete(&cx, &[key("a")]).await.unwrap().deleted, [key("a")]);
}

#[tokio::test]
async fn the_trace_says_who_did_what_to_which_key() {
    let (store, cx, _) = sim();
    job(&store, &cx).await.unwrap();
    let second = store.another_process();
    put(&second, &cx, "c", "x").await.unwrap();
    let trace = store.trace();
    assert_eq!((trace.len(), store.count(OpKind::Write)), (10, 2));
    let last = Op { process: 1, number: 1, kind: OpKind::Put, key: "c".into() };
    assert_eq!(trace.last(), Some(&last));
}

#[tokio::test]
async fn without_conditional_create_racing_puts_both_win() {
    let (store, cx, _) = sim();
    store.without_conditional_create();
    let both = futures::join!(put(&store, &cx, "a", "x"), put(&store, &cx, "a", "y"));
    assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
    assert!(put(&store, &cx, "a", "z").await.is_err(), "who looks later sees it");
    assert!(!store.capabilities().conditional_create);
}

#[tokio::test]
async fn a_machine_crash_keeps_a_late_effect_from_arriving_and_a_process_crash_does_not() {
    use crate::testkit::{Fault, FaultRule};
    for machine in [true, false] {
        let (store, cx, clock) = sim();
        store.set_faults(FaultPlan::seeded(1).rule(FaultRule::new(Fault::LateEffect(Duration::from_secs(9)))));
        put(&store, &cx, "a", "x").await.unwrap_err();
        if machine {
            store.crash();
        }
        let store = store.restart();
        clock.advance(Duration::from_secs(9));
        assert_eq!(store.keys().is_empty(), machine);
    }
}
