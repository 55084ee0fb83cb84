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
async fn an_object_past_the_configured_size_is_refused_with_the_way_out() {
    let Some(bench) = Bench::new().await else { return };
    let store = bench.store_with(|block| {
        block["endpoint"] = json!(bench.server.endpoint);
        block["part-size"] = json!(64 << 10);
        block["max-object-size"] = json!(1);
    });
    let store = store.await;
    assert_eq!(store.writer_memory(Some(1 << 50)), 3 * (64 << 10), "the configured size holds against every hint");
    let options = backup_core::store::WriteOptions::new(bench.cx.job().clone());
    let mut writer = store.writer(&bench.cx, &crate::bench::key("big"), options).await.unwrap();
    // 10,000 parts of zeros would take long: the error is the same for the first byte that does not fit.
    drop(writer.write(data(1, 100)).await);
    writer.abort().await.unwrap();
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
