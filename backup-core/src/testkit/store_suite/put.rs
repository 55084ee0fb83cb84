//! Small objects.

use chrono::TimeDelta;

use super::bench::{Bench, data, key, must, promise, refused, same, skipped};
use crate::error::codes;
use crate::store::PutOptions;

pub(super) async fn what_is_put_is_read_back(bench: Bench<'_>) {
    for (seed, size) in [0, 1, 4096, 300_001].into_iter().enumerate() {
        let (name, bytes) = (key(&format!("put/{size}")), data(seed as u64, size));
        let meta = bench.put(&name, bytes.clone()).await;
        promise!(meta.size == size as u64, "put of {name} must answer the size {size}, not {}", meta.size);
        promise!(meta.key == name, "put of {name} must answer its key, not {}", meta.key);
        bench.present(&name, &bytes, "after its put").await;
    }
}

pub(super) async fn put_if_absent_never_replaces(bench: Bench<'_>) {
    let name = key("records/one.json");
    bench.put(&name, "first").await;
    for body in ["second", "first", ""] {
        let again = bench.store.put(&bench.cx, &name, body.into(), PutOptions::if_absent()).await;
        refused(again, &codes::STORE_EXISTS, "put with if_absent of a taken key");
        same(&bench.get(&name).await, b"first", "after a refused put the object");
    }
    // An empty object takes its key as well as any other.
    let empty = key("records/empty");
    bench.put(&empty, "").await;
    let again = bench.store.put(&bench.cx, &empty, "x".into(), PutOptions::if_absent()).await;
    refused(again, &codes::STORE_EXISTS, "put with if_absent over an empty object");
}

pub(super) async fn odd_keys_are_kept_apart(bench: Bench<'_>) {
    let long_segment = "x".repeat(240);
    let long_key = ["y".repeat(200), "y".repeat(200), "y".repeat(200), "y".repeat(200), "z".repeat(200)].join("/");
    let odd = [
        ".backup/sets/etcd/prod/x.json",
        "v1/3.5.1+h2_00_etcd.backup",
        "odd/ leading and trailing ",
        "odd/a b",
        "odd/a+b",
        "odd/a%20b",
        "odd/a%2Fb",
        "odd/a/b",
        "odd/%",
        "odd/..x",
        "odd/...",
        "odd/x.tmp",
        "odd/.tmp-x",
        "odd/~x",
        "odd/-x",
        "odd/x=1&y=2#z?q",
        "odd/it's \"quoted\" <here> $HOME `x` *",
        "odd/x:y;z,w|v!@[](){}^",
        "odd/Case",
        "odd/case",
        "odd/\u{e9}",
        "odd/e\u{301}",
        "odd/日本語 🦀",
        &long_segment,
        &long_key,
    ];
    for name in odd {
        bench.put(&key(name), name.to_owned()).await;
    }
    for name in odd {
        same(&bench.get(&key(name)).await, name.as_bytes(), &format!("under the key {name:?} the object"));
        must("head", &key(name), bench.store.head(&bench.cx, &key(name)).await);
    }
    let (listed, mut expected) = (bench.names("", None).await, odd.map(String::from).to_vec());
    expected.sort();
    promise!(listed == expected, "odd keys must be listed as they were put:\n{listed:?}\ninstead of\n{expected:?}");
    let report = bench.store.delete(&bench.cx, &odd.map(key)).await.unwrap_or_else(|error| panic!("delete: {error}"));
    promise!(report.deleted.len() == odd.len(), "odd keys must be deletable: {report:?}");
    promise!(bench.names("", None).await.is_empty(), "deleted odd keys must be gone");
}

pub(super) async fn objects_below_objects(bench: Bench<'_>) {
    for (first, second) in [("up/a", "up/a/b"), ("down/a/b", "down/a")] {
        bench.put(&key(first), "first").await;
        let answer = bench.store.put(&bench.cx, &key(second), "second".into(), PutOptions::if_absent()).await;
        if bench.factory.objects_below_objects() {
            must("put", &key(second), answer);
            bench.present(&key(second), b"second", "below or above another object").await;
        } else {
            promise!(answer.is_err(), "a store that cannot hold {second} beside {first} must refuse it");
            bench.absent(&key(second), "after it was refused").await;
        }
        bench.present(&key(first), b"first", &format!("after a put of {second}")).await;
    }
}

pub(super) async fn locked_objects_are_not_removed(bench: Bench<'_>) {
    if !bench.store.capabilities().retention_lock {
        return skipped("locked_objects_are_not_removed", "the store says that it has no retention lock");
    }
    let name = key("locked");
    let until = bench.cx.clock().now() + TimeDelta::minutes(2);
    let options = PutOptions::if_absent().retain_until(Some(until));
    must("put", &name, bench.store.put(&bench.cx, &name, "x".into(), options).await);
    let report = bench.store.delete(&bench.cx, std::slice::from_ref(&name)).await;
    let report = report.unwrap_or_else(|error| panic!("a delete of a locked object is reported, not failed: {error}"));
    promise!(report.failed.len() == 1, "a locked object must be reported as failed: {report:?}");
    bench.present(&name, b"x", "after a delete in vain").await;
}
