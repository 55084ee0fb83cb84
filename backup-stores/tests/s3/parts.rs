//! Big objects.

use serde_json::json;

use crate::bench::{Bench, data, write};

#[tokio::test]
async fn an_object_of_over_a_thousand_parts_is_whole() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store_with(|block| {
        block["endpoint"] = json!(bench.server.endpoint);
        block["part-size"] = json!(64 << 10);
    });
    let store = store.await;
    let bytes = data(1, 1_001 * (64 << 10) + 17);
    write(&bench.cx, &*store, "many", &bytes, false).await.unwrap();
    bench.has_only(&*store, "many", &bytes).await;
    let part = bench.server.s3("head_object", json!({ "Bucket": bench.bucket, "Key": "p/many" }));
    assert!(part["ETag"].as_str().unwrap().ends_with("-1002\""), "{part}");
}

#[tokio::test]
async fn an_object_past_the_configured_size_is_refused_and_leaves_nothing() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store_with(|block| {
        block["part-size"] = json!(1 << 20);
        block["max-object-size"] = json!(3 << 20);
    });
    let store = store.await;
    assert_eq!(store.writer_memory(Some(1 << 50)), 3 << 20, "the configured size holds against every hint");
    let error = write(&bench.cx, &*store, "big", &data(1, (3 << 20) + 1), false).await.unwrap_err();
    assert!(error.code().name == "s3.too_big" && error.to_string().contains("max-object-size"), "{error}");
    assert!(bench.left().is_empty(), "{:?}", bench.left());
    write(&bench.cx, &*store, "big", &data(1, 3 << 20), false).await.unwrap();
    bench.has_only(&*store, "big", &data(1, 3 << 20)).await;
}

#[tokio::test]
async fn parts_are_sent_side_by_side() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store_with(|block| block["part-size"] = json!(1 << 20)).await;
    let gate = backup_remote::testkit::Gate::default();
    let held = backup_remote::testkit::RequestFault::Hold(gate.clone());
    bench.proxy.requests(backup_remote::testkit::Which::next(), "PUT", "partNumber=1&", held);
    let bytes = data(1, (4 << 20) + 1);
    let (cx, its_store, its_bytes) = (bench.cx.clone(), store.clone(), bytes.clone());
    let writing = tokio::spawn(async move { write(&cx, &*its_store, "big", &its_bytes, true).await });
    gate.reached().await;
    // Others pass while the first one waits.
    bench.proxy.wait_for(|seen| seen.iter().any(|seen| seen.matches("PUT", "p/big?partNumber=2") && seen.status.is_some())).await;
    gate.open();
    writing.await.unwrap().unwrap();
    bench.has_only(&*store, "big", &bytes).await;
}
