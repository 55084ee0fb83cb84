//! Writes whose answer is lost, wrong, or about an earlier attempt of our own.

use backup_core::Effect;
use backup_core::store::PutOptions;
use backup_remote::testkit::{Reply, RequestFault, Which};
use serde_json::json;

use crate::bench::{Bench, data, key, write};

const COMPLETE: &str = "?uploadId=";

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_found_to_be_ours() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store().await;
    let lost = bench.proxy.requests(Which::next(), "PUT", "/p/one", RequestFault::LoseAnswer);
    // The second attempt is refused with 412, about the first one's own object.
    store.put(&bench.cx, &key("one"), "mine".into(), PutOptions::if_absent()).await.unwrap();
    assert_eq!((lost.hits(), bench.proxy.count("PUT", "/p/one")), (1, 2));
    bench.has_only(&*store, "one", b"mine").await;
}

#[tokio::test]
async fn a_put_whose_answers_are_all_lost_is_found_to_be_ours() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store().await;
    bench.proxy.requests(Which::all(), "PUT", "/p/one", RequestFault::LoseAnswer);
    store.put(&bench.cx, &key("one"), "mine".into(), PutOptions::if_absent()).await.unwrap();
    bench.has_only(&*store, "one", b"mine").await;
}

#[tokio::test]
async fn a_put_that_is_not_there_after_its_answers_were_lost_is_unknown_and_may_be_made_again() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store().await;
    bench.proxy.requests(Which::all(), "PUT", "/p/one", RequestFault::Reset);
    let error = store.put(&bench.cx, &key("one"), "mine".into(), PutOptions::if_absent()).await.unwrap_err();
    // The server may still be at it.
    assert_eq!((error.code().name, error.effect()), ("remote.unreachable", Effect::Unknown), "{error}");
    bench.proxy.requests(Which::all(), "HEAD", "/p/one", RequestFault::Reset);
    let error = store.put(&bench.cx, &key("one"), "mine".into(), PutOptions::if_absent()).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("remote.unreachable", Effect::Unknown), "{error}");
    bench.proxy.clear();
    assert!(bench.left().is_empty(), "{:?}", bench.left());
    store.put(&bench.cx, &key("one"), "mine".into(), PutOptions::if_absent()).await.unwrap();
    bench.has_only(&*store, "one", b"mine").await;
}

#[tokio::test]
async fn a_lost_answer_does_not_make_another_writers_object_ours() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store().await;
    store.put(&bench.cx, &key("one"), "mine".into(), PutOptions::if_absent()).await.unwrap();
    // The same bytes, the same job: still not this write.
    bench.proxy.requests(Which::all(), "PUT", "/p/one", RequestFault::LoseAnswer);
    let error = store.put(&bench.cx, &key("one"), "mine".into(), PutOptions::if_absent()).await.unwrap_err();
    assert!(error.is_already_exists() && error.effect() == Effect::None, "{error}");
}

#[tokio::test]
async fn a_completion_whose_answer_is_lost_is_found_to_be_ours() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store_with(|block| block["part-size"] = json!(5 << 20)).await;
    let lost = bench.proxy.requests(Which::next(), "POST", COMPLETE, RequestFault::LoseAnswer);
    let bytes = data(1, 12 << 20);
    // The second attempt finds no upload any more.
    let meta = write(&bench.cx, &*store, "big", &bytes, false).await.unwrap();
    assert_eq!((lost.hits(), meta.size), (1, 12 << 20));
    bench.has_only(&*store, "big", &bytes).await;
}

#[tokio::test]
async fn a_completion_that_says_in_a_good_answer_that_it_failed_is_made_again() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store_with(|block| block["part-size"] = json!(5 << 20)).await;
    let failed = "  \n<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>";
    let failed = bench.proxy.requests(Which::next(), "POST", COMPLETE, RequestFault::Answer(Reply::status(200).body(failed)));
    let bytes = data(1, 6 << 20);
    write(&bench.cx, &*store, "big", &bytes, false).await.unwrap();
    assert_eq!((failed.hits(), bench.proxy.count("POST", COMPLETE)), (1, 3), "the probe's, ours twice");
    bench.has_only(&*store, "big", &bytes).await;
}

#[tokio::test]
async fn a_completion_that_is_refused_leaves_nothing() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store_with(|block| block["part-size"] = json!(5 << 20)).await;
    let refused = "<Error><Code>InvalidPart</Code><Message>One or more of the parts could not be found.</Message></Error>";
    bench.proxy.requests(Which::next(), "POST", COMPLETE, RequestFault::Answer(Reply::status(200).body(refused)));
    let error = write(&bench.cx, &*store, "big", &data(1, 6 << 20), false).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("s3.refused", Effect::None), "{error}");
    assert!(bench.left().is_empty(), "{:?}", bench.left());
}
