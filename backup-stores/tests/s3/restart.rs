//! A server that dies and comes back.

use std::sync::Arc;

use backup_core::event::TracingObserver;
use backup_core::store::{PutOptions, StoreExt, SweepOptions, WriteOptions};
use backup_core::{Effect, Environment, JobContext};
use chrono::{TimeDelta, Utc};
use serde_json::json;

use crate::bench::{config, data, key};
use crate::ministack::Ministack;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_the_middle_of_a_multipart_leaves_a_whole_object_or_none() {
    let Some(server) = Ministack::durable() else { return };
    let (bucket, cx) = (server.bucket(false), JobContext::new(Environment::default(), Arc::new(TracingObserver)));
    let mut block = server.block(&bucket, "p");
    block["part-size"] = json!(5 << 20);
    let store = config(block).open(&cx).await.unwrap();
    store.put(&cx, &key("before"), "kept".into(), PutOptions::if_absent()).await.unwrap();

    let bytes = data(1, 23 << 20);
    let mut writer = store.writer(&cx, &key("big"), WriteOptions::new(cx.job().clone())).await.unwrap();
    writer.write(bytes.slice(..12 << 20)).await.unwrap();
    server.server("kill-restart");
    let mut written = writer.write(bytes.slice(12 << 20..)).await;
    if written.is_ok() {
        written = writer.finish().await.map(drop);
    } else {
        writer.abort().await.unwrap();
    }
    match written {
        Ok(()) => assert!(store.get(&cx, &key("big"), u64::MAX).await.unwrap() == bytes, "an object that is there is whole"),
        // This server forgets unfinished uploads when it is killed.
        Err(error) => {
            assert_eq!((error.code().name, error.effect()), ("s3.upload_gone", Effect::None), "{error}");
            assert!(store.head_opt(&cx, &key("big")).await.unwrap().is_none());
        }
    }
    let horizon = Utc::now() + TimeDelta::hours(1);
    store.sweep(&cx, SweepOptions::new(horizon, vec![])).await.unwrap();
    assert_eq!(server.uploads(&bucket, ""), 0);
    assert!(server.names(&bucket, "p/.backup").is_empty());
    assert_eq!(store.get(&cx, &key("before"), 10).await.unwrap(), "kept");
    // The key is free, or taken by the whole object.
    let again = store.put(&cx, &key("big"), "x".into(), PutOptions::default()).await;
    again.unwrap();
}
