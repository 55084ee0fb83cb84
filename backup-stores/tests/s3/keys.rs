//! Many keys, odd keys, and keys that cannot be removed.

use std::sync::Arc;

use backup_core::event::TracingObserver;
use backup_core::store::{ListOptions, PutOptions};
use backup_core::{Environment, JobContext, KeyPrefix};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::bench::{Bench, config, key};
use crate::ministack::Ministack;

const MANY: usize = 12_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_thousand_objects_are_listed_whole_and_in_order() {
    let Some(server) = Ministack::durable() else { return };
    let (bucket, cx) = (server.bucket(false), JobContext::new(Environment::default(), Arc::new(TracingObserver)));
    let store = config(server.block(&bucket, "p")).open(&cx).await.unwrap();
    let names: Vec<String> = (0..MANY).map(|n| format!("many/{}/{n:05}", n % 7)).collect();
    if std::env::var_os("BACKUP_TEST_LONG").is_some_and(|value| value == "1") {
        let puts = stream::iter(names.clone()).map(|name| {
            let (store, cx) = (store.clone(), cx.clone());
            async move { store.put(&cx, &key(&name), "x".into(), PutOptions::default()).await.map(drop) }
        });
        puts.buffer_unordered(24).try_collect::<()>().await.unwrap();
    } else {
        server.seed(&bucket, &names.iter().map(|name| format!("p/{name}")).collect::<Vec<_>>());
    }
    let listed = store.list(&cx, &KeyPrefix::new("many").unwrap(), ListOptions::default());
    let listed: Vec<String> = listed.map_ok(|meta| meta.key.to_string()).try_collect().await.unwrap();
    let mut expected = names;
    expected.sort();
    assert!(listed == expected, "{} came", listed.len());
}

#[tokio::test]
async fn odd_keys_are_the_same_for_another_client() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store().await;
    let odd = ["a+b", "a b", " a ", "a%2Bb", "é/ü", "q?x=1&y#z", "it's (here)!*", "<&\">", "日本語 🦀"];
    for name in odd {
        store.put(&bench.cx, &key(name), name.to_owned().into(), PutOptions::if_absent()).await.unwrap();
        let got = bench.server.s3("get_object", json!({ "Bucket": bench.bucket, "Key": format!("p/{name}") }));
        assert_eq!(got["Body"]["text"], name, "{got}");
    }
    let mut expected = odd.map(|name| format!("p/{name}")).to_vec();
    expected.sort();
    assert_eq!(bench.server.names(&bench.bucket, ""), expected);
}

#[tokio::test]
async fn a_delete_says_which_of_many_keys_failed_and_goes_on() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store().await;
    let keys = ["d/a", "d/kept", "d/b", "d/kept ", "d/c "].map(key);
    for name in &keys {
        store.put(&bench.cx, name, "x".into(), PutOptions::if_absent()).await.unwrap();
    }
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject",
            "Resource": [format!("arn:aws:s3:::{}/p/d/kept*", bench.bucket)],
        }],
    });
    let put = bench.server.s3("put_bucket_policy", json!({ "Bucket": bench.bucket, "Policy": policy.to_string() }));
    assert_eq!(put["error"], Value::Null, "{put}");
    let mut all = keys.to_vec();
    all.push(key("d/missing"));
    let report = store.delete(&bench.cx, &all).await.unwrap();
    let sorted = |keys: &[backup_core::ObjectKey]| {
        let mut names: Vec<_> = keys.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    assert_eq!(sorted(&report.deleted), ["d/a", "d/b", "d/c "], "{report:?}");
    assert_eq!(sorted(&report.missing), ["d/missing"]);
    let (failed, errors): (Vec<_>, Vec<_>) = report.failed.into_iter().unzip();
    assert_eq!(sorted(&failed), ["d/kept", "d/kept "]);
    for error in errors {
        assert_eq!(error.code().name, "store.denied", "{error}");
    }
    assert_eq!(bench.left(), ["p/d/kept", "p/d/kept "]);
}

#[tokio::test]
async fn one_locked_object_fails_alone_in_a_delete_of_many() {
    let Some(bench) = Bench::with_lock(true).await else { return };
    let store = bench.store_with(|block| block["object-lock"] = json!("governance")).await;
    let until = chrono::Utc::now() + chrono::TimeDelta::minutes(5);
    for (name, lock) in [("a", None), ("locked", Some(until)), ("z", None)] {
        store.put(&bench.cx, &key(name), "x".into(), PutOptions::if_absent().retain_until(lock)).await.unwrap();
    }
    let report = store.delete(&bench.cx, &["a", "locked", "z"].map(key)).await.unwrap();
    assert_eq!(report.deleted, ["a", "z"].map(key), "{report:?}");
    assert_eq!(report.failed.len(), 1, "{report:?}");
    assert_eq!(report.failed[0].0, key("locked"));
    assert_eq!(bench.left(), ["p/locked"]);
}
