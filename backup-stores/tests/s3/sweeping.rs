//! What died writers leave, and what is not theirs.

use backup_core::store::{SweepOptions, WriteOptions};
use backup_core::{Environment, JobContext, Store};
use backup_remote::testkit::{RequestFault, Which};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::bench::{Bench, data, key};

async fn store(bench: &Bench) -> Arc<dyn Store> {
    bench.store_with(|block| block["part-size"] = json!(5 << 20)).await
}

async fn sweep(bench: &Bench, store: &dyn Store) -> u64 {
    let report = store.sweep(&bench.cx, SweepOptions::new(Utc::now() + TimeDelta::hours(1), vec![])).await.unwrap();
    assert!(report.failed.is_empty(), "{report:?}");
    report.removed
}

fn job() -> JobContext {
    JobContext::new(Environment::default(), Arc::new(backup_core::event::TracingObserver))
}

fn foreign_upload(bench: &Bench, name: &str) -> String {
    let made = bench.server.s3("create_multipart_upload", json!({ "Bucket": bench.bucket, "Key": name }));
    made["UploadId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_upload_that_is_not_ours_is_never_touched() {
    let Some(bench) = Bench::new().await else { return };
    let store = store(&bench).await;
    foreign_upload(&bench, "p/theirs");
    foreign_upload(&bench, "elsewhere");
    let put = bench.server.s3("put_object", json!({ "Bucket": bench.bucket, "Key": "p/.backup/tmp/theirs" }));
    assert_eq!(put["error"], Value::Null);
    let cx = job();
    let mut writer = store.writer(&cx, &key("ours"), WriteOptions::new(cx.job().clone())).await.unwrap();
    writer.write(data(1, 6 << 20)).await.unwrap();
    drop(writer);
    assert_eq!(bench.server.uploads(&bench.bucket, ""), 3);
    assert_eq!(sweep(&bench, &*store).await, 1);
    assert_eq!(bench.server.uploads(&bench.bucket, ""), 2);
    assert_eq!(bench.server.names(&bench.bucket, ""), ["p/.backup/tmp/theirs"]);
    assert_eq!(sweep(&bench, &*store).await, 0);
}

#[tokio::test]
async fn an_upload_that_was_begun_but_not_yet_noted_is_found() {
    let Some(bench) = Bench::new().await else { return };
    let store = store(&bench).await;
    // The note with the upload's id never comes through; the one without it did.
    let cx = job().with_limit(std::time::Duration::from_secs(2));
    bench.proxy.requests(Which::after(1), "PUT", ".upload", RequestFault::BlackHole);
    // A clean-up finds no server either, as if the process had been killed.
    bench.proxy.requests(Which::all(), "DELETE", "", RequestFault::BlackHole);
    let mut writer = store.writer(&cx, &key("big"), WriteOptions::new(cx.job().clone())).await.unwrap();
    writer.write(data(1, 6 << 20)).await.unwrap_err();
    drop(writer);
    bench.proxy.clear();
    assert_eq!((bench.server.uploads(&bench.bucket, ""), bench.server.names(&bench.bucket, "").len()), (1, 1));

    // Another job writes the same key meanwhile, and is kept.
    let other = job();
    let mut alive = store.writer(&other, &key("big"), WriteOptions::new(other.job().clone())).await.unwrap();
    alive.write(data(2, 6 << 20)).await.unwrap();
    let options = SweepOptions::new(Utc::now() + TimeDelta::hours(1), vec![other.job().clone()]);
    assert_eq!(store.sweep(&bench.cx, options).await.unwrap().removed, 1);
    assert_eq!(bench.server.uploads(&bench.bucket, ""), 1);
    alive.finish().await.unwrap();
    bench.has_only(&*store, "big", &data(2, 6 << 20)).await;
}

#[tokio::test]
async fn an_upload_that_somebody_aborted_is_a_clear_error() {
    let Some(bench) = Bench::new().await else { return };
    let store = store(&bench).await;
    let cx = job();
    let mut writer = store.writer(&cx, &key("big"), WriteOptions::new(cx.job().clone())).await.unwrap();
    writer.write(data(1, 6 << 20)).await.unwrap();
    assert_eq!(sweep(&bench, &*store).await, 1);
    let error = writer.finish().await.unwrap_err();
    assert_eq!(error.code().name, "s3.upload_gone", "{error}");
    assert!(bench.left().is_empty(), "{:?}", bench.left());
}

#[tokio::test]
async fn what_an_interrupted_probe_left_is_swept() {
    let Some(bench) = Bench::new().await else { return };
    bench.proxy.requests(Which::all(), "DELETE", ".probe", RequestFault::Reset);
    bench.try_store(|_| {}).await.unwrap_err();
    bench.proxy.clear();
    assert!(bench.left().iter().any(|name| name.ends_with(".probe")), "{:?}", bench.left());
    let store = store(&bench).await;
    assert!(sweep(&bench, &*store).await >= 1);
    let objects = bench.server.names(&bench.bucket, "");
    assert!(objects.is_empty(), "{objects:?}");
}
