//! Another S3 server, which does other things than the first one: it cannot list uploads, and it is fast. It keeps objects as files, so the
//! conformance suite asks too much of it (a directory is an error of the server there, and so is a long name).

use std::sync::Arc;

use backup_core::event::TracingObserver;
use backup_core::store::{ListOptions, PutOptions, ReadOptions, StoreExt, SweepOptions, WriteOptions};
use backup_core::{Environment, JobContext, KeyPrefix};
use chrono::{TimeDelta, Utc};
use futures::TryStreamExt;
use futures::future::join_all;
use serde_json::json;

use crate::bench::{config, data, key, write};
use crate::s3s::S3s;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_agrees() {
    if std::env::var_os("BACKUP_TEST_LONG").is_none_or(|value| value != "1") {
        println!("SKIPPED: BACKUP_TEST_LONG=1 runs it");
        return;
    }
    let Some(server) = S3s::start() else { return };
    let job = || JobContext::new(Environment::default(), Arc::new(TracingObserver));
    let cx = job();
    let mut block = server.block("a b/é+");
    block["part-size"] = json!(5 << 20);
    let store = config(block).open(&cx).await.unwrap();
    assert!(store.capabilities().conditional_create);

    let mut names =
        vec!["n/a b", "n/a+b", "n/a-b", "n/a.b", "n/a%20b", "n/é", "n/end ", "n/q?x=1&y#z", "n/日本語", "n/it's (here)!*"];
    for name in &names {
        store.put(&cx, &key(name), (*name).to_owned().into(), PutOptions::if_absent()).await.unwrap();
        let again = store.put(&cx, &key(name), "x".into(), PutOptions::if_absent()).await.unwrap_err();
        assert!(again.is_already_exists(), "{again}");
        assert_eq!(store.get(&cx, &key(name), 100).await.unwrap(), *name);
    }
    let listed = store.list(&cx, &KeyPrefix::root(), ListOptions::default()).map_ok(|meta| meta.key.to_string());
    names.sort_unstable();
    assert_eq!(listed.try_collect::<Vec<_>>().await.unwrap(), names);

    let racers = (0..8).map(|n| {
        let (store, cx) = (store.clone(), job());
        async move { store.put(&cx, &key("race"), data(n, 10_000), PutOptions::if_absent()).await }
    });
    assert_eq!(join_all(racers).await.iter().filter(|answer| answer.is_ok()).count(), 1);

    let bytes = data(1, 12 << 20);
    write(&cx, &*store, "big", &bytes, false).await.unwrap();
    let read = store.read(&cx, &key("big"), ReadOptions::range(1000..7 << 20)).await.unwrap();
    assert!(read.body.try_collect::<Vec<_>>().await.unwrap().concat() == bytes[1000..7 << 20]);
    let taken = write(&cx, &*store, "big", &bytes, false).await.unwrap_err();
    assert!(taken.is_already_exists(), "{taken}");

    let mut writer = store.writer(&cx, &key("left"), WriteOptions::new(cx.job().clone())).await.unwrap();
    writer.write(data(2, 6 << 20)).await.unwrap();
    drop(writer);
    let swept = store.sweep(&cx, SweepOptions::new(Utc::now() + TimeDelta::hours(1), vec![])).await.unwrap();
    assert!(swept.removed == 1 && swept.failed.is_empty(), "{swept:?}");

    let mut keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    keys.push(key("n/missing"));
    let report = store.delete(&cx, &keys).await.unwrap();
    assert_eq!((report.deleted.len(), report.missing.len(), report.failed.len()), (names.len(), 1, 0), "{report:?}");
    for (key, code) in [(key("n/missing"), "store.not_found"), (key("n/é"), "store.not_found")] {
        assert_eq!(store.head(&cx, &key).await.unwrap_err().code().name, code);
    }
}
