//! Opening: what people get wrong is said; what the server lacks is found.

use std::time::Duration;

use backup_core::store::PutOptions;
use backup_core::testkit::free_port;
use backup_remote::testkit::{Reply, RequestFault, Which};
use backup_stores::{OpenOptions, StoreConfig};
use serde_json::{Value, json};

use crate::bench::{Bench, config, data, key, write};

async fn refused(bench: &Bench, change: impl FnOnce(&mut Value), code: &str, says: &str) {
    let error = bench.try_store(change).await.unwrap_err();
    assert_eq!(error.code().name, code, "{error}");
    assert!(error.to_string().contains(says), "{error} shall say {says:?}");
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(!text.contains(&bench.server.secret) && !text.contains("wrong-secret"), "{text}");
    }
}

#[tokio::test]
async fn what_people_get_wrong_is_said_when_the_store_is_opened() {
    let Some(bench) = Bench::new().await else { return };
    refused(&bench, |block| block["secret-access-key"] = json!("wrong-secret"), "s3.credentials", "SignatureDoesNotMatch").await;
    refused(&bench, |block| block["access-key-id"] = json!("AKIAUNKNOWNUNKNOWN00"), "s3.credentials", "InvalidAccessKeyId").await;
    refused(&bench, |block| block["bucket"] = json!("no-such-bucket-anywhere"), "s3.no_bucket", "no-such-bucket-anywhere").await;
    refused(&bench, |block| block["endpoint"] = json!("127.0.0.1:9000"), "s3.config", "http:// or https://").await;
    refused(&bench, |block| block["secret-access-key"] = Value::Null, "s3.config", "secret-access-key").await;
    refused(&bench, |block| block["prefix"] = json!("a//b"), "s3.config", "prefix").await;
    refused(&bench, |block| block["object-lock"] = json!("governance"), "s3.no_lock", "object lock").await;
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let patience = json!({ "attempts": 2 });
    let closed = |block: &mut Value| (block["endpoint"], block["requests"]) = (json!(nobody), patience);
    refused(&bench, closed, "remote.unreachable", "s3://").await;
    for (status, code, expected) in [
        (301, "PermanentRedirect", "s3.region"),
        (400, "AuthorizationHeaderMalformed", "s3.region"),
        (403, "RequestTimeTooSkewed", "s3.clock"),
        (403, "AccessDenied", "store.denied"),
    ] {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message><Region>eu-west-9</Region></Error>");
        bench.proxy.requests(Which::all(), "", "", RequestFault::Answer(Reply::status(status).body(body)));
        let says = if expected == "s3.region" { "eu-west-9" } else { code };
        refused(&bench, |_| {}, expected, says).await;
        bench.proxy.clear();
    }
    assert!(bench.left().is_empty(), "{:?}", bench.left());
}

#[tokio::test]
async fn a_store_that_is_only_read_writes_nothing() {
    let Some(bench) = Bench::new().await else { return };
    let store = config(bench.block()).open_read_only(&bench.cx).await.unwrap();
    store.head(&bench.cx, &key("none")).await.unwrap_err();
    assert!(bench.proxy.seen().iter().all(|seen| matches!(seen.method.as_str(), "GET" | "HEAD")));
}

#[tokio::test]
async fn a_server_without_conditional_writes_is_used_by_the_weaker_protocol_with_a_warning() {
    let Some(bench) = Bench::new().await else { return };
    let lacking = Reply::status(501).body("<Error><Code>NotImplemented</Code></Error>");
    bench.proxy.requests(Which::nth(1), "PUT", ".probe", RequestFault::Answer(lacking));
    let store = bench.store().await;
    assert!(!store.capabilities().conditional_create);
    assert!(bench.warnings().iter().any(|text| text.contains("no conditional writes")), "{:?}", bench.warnings());

    let (name, cx) = (key("one"), &bench.cx);
    store.put(cx, &name, "first".into(), PutOptions::if_absent()).await.unwrap();
    let taken = store.put(cx, &name, "second".into(), PutOptions::if_absent()).await.unwrap_err();
    assert!(taken.is_already_exists(), "{taken}");
    let big = data(1, 15 << 20);
    let taken = write(cx, &*store, "one", &big, false).await.unwrap_err();
    assert!(taken.is_already_exists(), "{taken}");
    bench.has_only(&*store, "one", b"first").await;
}

#[tokio::test]
async fn a_server_that_does_what_s3_does_is_opened_without_a_warning() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store().await;
    assert!(store.capabilities().conditional_create && !store.capabilities().retention_lock);
    assert!(bench.warnings().is_empty(), "{:?}", bench.warnings());
    assert!(bench.left().is_empty(), "{:?}", bench.left());
}

#[tokio::test]
async fn a_server_that_takes_wrong_bytes_is_opened_with_a_warning() {
    let Some(bench) = Bench::new().await else { return };
    // The third PutObject of the probe has the wrong checksum.
    bench.proxy.requests(Which::nth(3), "PUT", ".probe", RequestFault::Answer(Reply::status(200).header("etag", "\"x\"")));
    let found =
        bench.proxy.requests(Which::nth(4), "PUT", ".probe", RequestFault::Answer(Reply::status(200).header("etag", "\"x\"")));
    bench.store().await;
    assert!(found.hits() <= 1);
    assert!(bench.warnings().iter().any(|text| text.contains("checksums")), "{:?}", bench.warnings());
}

#[tokio::test]
async fn credentials_that_may_not_delete_can_back_up_with_a_warning() {
    let Some(bench) = Bench::new().await else { return };
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": [format!("arn:aws:s3:::{}/*", bench.bucket)],
        }],
    });
    let put = bench.server.s3("put_bucket_policy", json!({ "Bucket": bench.bucket, "Policy": policy.to_string() }));
    assert_eq!(put["error"], Value::Null, "{put}");
    let store = bench.store_with(|block| block["part-size"] = json!(1 << 20)).await;
    assert!(bench.warnings().iter().any(|text| text.contains("may not delete")), "{:?}", bench.warnings());
    let bytes = data(1, (2 << 20) + 1);
    write(&bench.cx, &*store, "big", &bytes, false).await.unwrap();
    assert_eq!(bench.object("big").unwrap().0, bytes.len() as u64);
}

#[tokio::test]
async fn opening_ends_with_its_job() {
    let Some(bench) = Bench::new().await else { return };
    bench.proxy.requests(Which::all(), "", "", RequestFault::BlackHole);
    let cx = bench.cx.with_limit(Duration::from_millis(700));
    let error = config(bench.block()).open_with(&cx, &OpenOptions::default()).await.unwrap_err();
    assert_eq!(error.code().name, "job.deadline", "{error}");
}

#[test]
fn no_debug_output_and_no_url_has_a_secret() {
    let block = json!({
        "bucket": "b", "prefix": "p/", "endpoint": "http://127.0.0.1:9000", "access-key-id": "AKIDTOPSECRET", "secret-access-key": "hush-hush",
        "session-token": "hush-token", "assume-role": { "role-arn": "arn:aws:iam::1:role/r", "external-id": "hush-id" },
        "server-side-encryption": { "kms": { "key-id": "k" } },
    });
    let config = config(block);
    for text in [format!("{config:?}"), config.to_string()] {
        assert!(!text.contains("hush") && !text.contains("TOPSECRET"), "{text}");
    }
    assert_eq!(config.to_string(), "s3://b/p?endpoint=http%3A%2F%2F127.0.0.1%3A9000");
    let url: StoreConfig = "s3://b/p/q?endpoint=https://s3.example.org&region=r&path-style=false".parse().unwrap();
    assert_eq!(url.to_string(), "s3://b/p/q?endpoint=https%3A%2F%2Fs3.example.org&region=r&path-style=false");
    assert!("s3://b/p?secret-access-key=x".parse::<StoreConfig>().is_err());
}

#[test]
fn a_block_refuses_what_it_does_not_know() {
    for (block, why) in [
        (json!({}), "missing field `bucket`"),
        (json!({ "bucket": "b", "buckett": 1 }), "unknown field `buckett`"),
        (json!({ "bucket": "b", "object-lock": "none" }), "unknown variant `none`"),
        (json!({ "bucket": "b", "credentials": "magic" }), "unknown variant `magic`"),
        (json!({ "bucket": "b", "endpoint": "http://user:hush@127.0.0.1" }), "without user"),
    ] {
        let error = serde_json::from_value::<StoreConfig>(json!({ "s3": block })).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("hush"), "{error}");
    }
    let error = "s3://b/p?endpoint=http://user:hush@127.0.0.1".parse::<StoreConfig>().unwrap_err().to_string();
    assert!(error.contains("without user") && !error.contains("hush"), "{error}");
}
