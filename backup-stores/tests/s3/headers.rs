//! What objects are made with: encryption, storage class, lock, and whose they are.

use backup_core::store::{PutOptions, Store, WriteOptions};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::bench::{Bench, data, key};

fn head(bench: &Bench, name: &str) -> Value {
    let head = bench.server.s3("head_object", json!({ "Bucket": bench.bucket, "Key": format!("p/{name}") }));
    assert_eq!(head["error"], Value::Null, "{head}");
    head
}

/// A small object, one in one request, one in parts.
async fn three(bench: &Bench, store: &dyn Store, until: Option<DateTime<Utc>>) {
    let cx = &bench.cx;
    store.put(cx, &key("put"), "x".into(), PutOptions::if_absent().retain_until(until)).await.unwrap();
    for (name, size) in [("small", 100), ("big", 6 << 20)] {
        let options = WriteOptions::new(cx.job().clone()).retain_until(until);
        let mut writer = store.writer(cx, &key(name), options).await.unwrap();
        writer.write(data(1, size)).await.unwrap();
        writer.finish().await.unwrap();
    }
}

#[tokio::test]
async fn objects_are_encrypted_and_classed_as_configured() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store_with(|block| {
        block["part-size"] = json!(5 << 20);
        block["server-side-encryption"] =
            json!({ "kms": { "key-id": "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555" } });
        block["storage-class"] = json!("STANDARD_IA");
    });
    let store = store.await;
    three(&bench, &*store, None).await;
    for name in ["put", "small", "big"] {
        let head = head(&bench, name);
        assert_eq!(head["ServerSideEncryption"], "aws:kms", "{head}");
        assert!(head["SSEKMSKeyId"].as_str().unwrap().contains("11111111-2222"), "{head}");
        assert_eq!(head["StorageClass"], "STANDARD_IA", "{head}");
        assert_eq!(head["Metadata"]["backup-job"], bench.cx.job().as_str(), "{head}");
    }
    let store = bench.store_with(|block| {
        block["prefix"] = json!("q");
        block["server-side-encryption"] = json!("s3");
    });
    store.await.put(&bench.cx, &key("put"), "x".into(), PutOptions::if_absent()).await.unwrap();
    let head = bench.server.s3("head_object", json!({ "Bucket": bench.bucket, "Key": "q/put" }));
    assert_eq!(head["ServerSideEncryption"], "AES256", "{head}");
}

#[tokio::test]
async fn objects_are_locked_before_their_writer_is_finished() {
    let Some(bench) = Bench::with_lock(true).await else { return };
    let store = bench.store_with(|block| {
        block["part-size"] = json!(5 << 20);
        block["object-lock"] = json!("governance");
    });
    let store = store.await;
    assert!(store.capabilities().retention_lock);
    let until = Utc::now() + TimeDelta::minutes(5);
    three(&bench, &*store, Some(until)).await;
    let keys = [key("put"), key("small"), key("big")];
    for name in &keys {
        let got = bench.server.s3("get_object_retention", json!({ "Bucket": bench.bucket, "Key": format!("p/{name}") }));
        assert_eq!(got["Retention"]["Mode"], "GOVERNANCE", "{got}");
        let locked = got["Retention"]["RetainUntilDate"].as_str().unwrap().replace(' ', "T").parse::<DateTime<Utc>>().unwrap();
        assert!(locked >= until && locked < until + TimeDelta::seconds(2), "{locked} instead of {until}");
    }
    let report = store.delete(&bench.cx, &keys).await.unwrap();
    assert_eq!((report.deleted.len(), report.failed.len()), (0, 3), "{report:?}");
    assert_eq!(bench.left().len(), 3, "{:?}", bench.left());
}

#[tokio::test]
async fn what_is_not_locked_leaves_no_version_behind_in_a_bucket_with_lock() {
    let Some(bench) = Bench::with_lock(true).await else { return };
    let store = bench.store_with(|block| block["object-lock"] = json!("compliance")).await;
    store.put(&bench.cx, &key("put"), "x".into(), PutOptions::if_absent()).await.unwrap();
    let report = store.delete(&bench.cx, &[key("put")]).await.unwrap();
    assert_eq!(report.deleted.len(), 1, "{report:?}");
    let versions = bench.server.s3("list_object_versions", json!({ "Bucket": bench.bucket, "Prefix": "p/put" }));
    assert_eq!((&versions["Versions"], &versions["DeleteMarkers"]), (&Value::Null, &Value::Null), "{versions}");
}
