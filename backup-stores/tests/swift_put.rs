//! Objects that Swift is sent in one piece while they are read, and large ones that give place to them.
#![cfg(feature = "swift")]
#![allow(clippy::unwrap_used, reason = "test helpers stand outside of the test functions")]

#[path = "support/swift_bench.rs"]
mod bench;
#[path = "support/openstack.rs"]
mod openstack;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backup_core::error::codes;
use backup_core::store::{Payload, WriteOptions};
use backup_core::{Bytes, Digest, Effect, Error, ObjectMeta, Result, Store};
use backup_remote::CallLimits;
use backup_remote::http::http::Method;
use backup_remote::testkit::{Ending, Harm, Reply, RequestFault, Which};
use backup_stores::swift::SwiftStore;
use bench::{Bench, MIB, data, key};
use futures::stream::{self, BoxStream, StreamExt};

/// Bytes that are given in pieces; each reading is counted, and those from `broken` on end with an error instead of their last piece.
#[derive(Debug)]
struct Pieces {
    bytes: Bytes,
    opened: AtomicUsize,
    broken: usize,
}

impl Pieces {
    fn new(bytes: &Bytes) -> Arc<Self> {
        Arc::new(Self { bytes: bytes.clone(), opened: AtomicUsize::new(0), broken: usize::MAX })
    }

    fn broken_from(bytes: &Bytes, reading: usize) -> Arc<Self> {
        Arc::new(Self { bytes: bytes.clone(), opened: AtomicUsize::new(0), broken: reading })
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }
}

impl Payload for Pieces {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn open(&self) -> BoxStream<'static, Result<Bytes>> {
        let reading = self.opened.fetch_add(1, Ordering::SeqCst);
        let mut pieces: Vec<Result<Bytes>> = self.bytes.chunks(300_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        if reading >= self.broken {
            pieces.push(Err(Error::new(&codes::SOURCE_FAILED, "the file changed")));
        }
        stream::iter(pieces).boxed()
    }
}

async fn send(bench: &Bench, store: &SwiftStore, name: &str, payload: Arc<Pieces>, if_absent: bool) -> Result<ObjectMeta> {
    let digest = Digest::of(&payload.bytes);
    let options = WriteOptions::new(bench.cx.job().clone()).if_absent(if_absent).sha256(Some(digest));
    store.put_from(&bench.cx, &key(name), payload, options).await
}

async fn put(bench: &Bench, name: &str, bytes: &Bytes) -> Result<ObjectMeta> {
    send(bench, &bench.store, name, Pieces::new(bytes), true).await
}

/// Everything in the container of segments.
async fn segments(bench: &Bench) -> Vec<String> {
    bench.openstack.names(&format!("{}_segments", bench.config.container), "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_in_one_piece_is_a_plain_one_and_keeps_its_digest() {
    let Some(bench) = Bench::new(CallLimits::default()).await else { return };
    // Many times a segment of this store.
    let bytes = data(1, 20 * MIB + 7);
    let meta = put(&bench, "whole", &bytes).await.unwrap();
    assert_eq!(meta.size, bytes.len() as u64);
    assert!(bench.get("whole").await.unwrap() == bytes, "other bytes came back");
    assert!(segments(&bench).await.is_empty(), "there are segments");
    let head = bench.openstack.raw(Method::HEAD, &format!("/{}/whole", bench.config.container), &[], "").await;
    assert!(!head.headers.contains_key("x-static-large-object"), "{head:?}");
    assert_eq!(head.headers["content-type"], "application/octet-stream");
    let known = bench.store.head(&bench.cx, &key("whole")).await.unwrap();
    assert_eq!(known.sha256, Some(Digest::of(&bytes)));
    assert!(bench.store.put_memory(5 << 30) < 8 << 20, "it is held in memory");
    // What is there is not replaced.
    let error = put(&bench, "whole", &data(2, 1000)).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("store.exists", Effect::None), "{error}");
    put(&bench, "empty", &Bytes::new()).await.unwrap();
    assert_eq!(bench.get("empty").await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_cut_in_the_middle_is_sent_again_from_its_start() {
    let Some(bench) = Bench::new(CallLimits::default()).await else { return };
    let bytes = data(3, 9 * MIB + 1);
    let cut = |after| RequestFault::RequestBody(Harm::Cut { after, ending: Ending::Reset });
    let faults = [
        bench.proxy.requests(Which::nth(1), "PUT", "/cut", cut(4 * MIB as u64)),
        bench.proxy.requests(Which::nth(2), "PUT", "/cut", RequestFault::RequestBody(Harm::FlipAt(5_000_000))),
        bench.proxy.requests(Which::nth(3), "PUT", "/cut", RequestFault::Answer(Reply::status(503).retry_after(1))),
        bench.proxy.requests(Which::nth(4), "PUT", "/cut", RequestFault::Answer(Reply::status(401))),
        bench.proxy.requests(Which::nth(5), "PUT", "/cut", RequestFault::LoseAnswer),
    ];
    let payload = Pieces::new(&bytes);
    let meta = send(&bench, &bench.store, "cut", Arc::clone(&payload), true).await.unwrap();
    assert!(faults.iter().all(|fault| fault.hits() == 1), "{:?}", faults.map(|fault| fault.hits()));
    assert_eq!(meta.size, bytes.len() as u64);
    assert!(bench.get("cut").await.unwrap() == bytes, "the bytes that come back are others");
    // Once for its MD5, and once for each attempt: five that failed and one that did not, and more only where a busy Swift refused by itself.
    let attempts = bench.proxy.count("PUT", "/cut");
    assert!(attempts >= 6, "{attempts} attempts");
    assert_eq!(payload.opened(), 1 + attempts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_change_while_they_are_sent_are_never_an_object() {
    let Some(bench) = Bench::new(CallLimits::default()).await else { return };
    let bytes = data(4, 2 * MIB);
    let payload = Pieces::broken_from(&bytes, 1);
    let error = send(&bench, &bench.store, "changed", Arc::clone(&payload), true).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("source.failed", Effect::None), "{error}");
    assert_eq!(payload.opened(), 2, "it is not tried again");
    let there = bench.store.head(&bench.cx, &key("changed")).await.unwrap_err();
    assert!(there.is_not_found(), "{there}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_above_the_clusters_limit_is_a_large_one_and_goes_with_its_segments_when_it_is_replaced() {
    let Some(bench) = Bench::new(CallLimits::default()).await else { return };
    let small =
        format!(r#"{{"swift": {{"max_file_size": {MIB}}}, "slo": {{"max_manifest_segments": 2, "min_segment_size": 1}}}}"#);
    let told = bench.proxy.requests(Which::next(), "GET", "/info", RequestFault::Answer(Reply::status(200).body(small)));
    let limited = bench.openstack.store(&bench.config).await;
    assert_eq!(told.hits(), 1);
    let large = data(5, 5 * MIB + 3);
    send(&bench, &limited, "o", Pieces::new(&large), true).await.unwrap();
    assert!(bench.get("o").await.unwrap() == large, "other bytes came back");
    let first = segments(&bench).await;
    assert!(first.iter().any(|name| name.contains("manifest-")), "the manifests are not nested: {first:?}");

    // By another large one.
    let other = data(6, 3 * MIB + 3);
    send(&bench, &limited, "o", Pieces::new(&other), false).await.unwrap();
    assert!(bench.get("o").await.unwrap() == other, "other bytes came back");
    let second = segments(&bench).await;
    assert!(!second.is_empty() && second.iter().all(|name| !first.contains(name)), "{first:?} and {second:?}");
    // By a plain one.
    let plain = data(7, 2 * MIB);
    send(&bench, &bench.store, "o", Pieces::new(&plain), false).await.unwrap();
    assert!(bench.get("o").await.unwrap() == plain, "other bytes came back");
    assert_eq!(segments(&bench).await, [] as [String; 0]);

    // A replacement that fails leaves the old one whole.
    send(&bench, &limited, "o", Pieces::new(&large), false).await.unwrap();
    send(&bench, &bench.store, "o", Pieces::broken_from(&plain, 1), false).await.unwrap_err();
    assert!(bench.get("o").await.unwrap() == large, "the old object was harmed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn segments_of_another_program_stay_when_its_object_is_replaced() {
    let Some(bench) = Bench::new(CallLimits::default()).await else { return };
    let container = &bench.config.container;
    let put = async |path: String, body: String| {
        let answer = bench.openstack.raw(Method::PUT, &path, &[], body).await;
        assert!(answer.status.is_success(), "{answer:?}");
    };
    put(format!("/{container}/theirs/1"), "their bytes".to_owned()).await;
    let manifest = format!(r#"[{{"path": "/{container}/theirs/1"}}]"#);
    put(format!("/{container}/o?multipart-manifest=put"), manifest).await;
    let ours = data(8, 1000);
    send(&bench, &bench.store, "o", Pieces::new(&ours), false).await.unwrap();
    assert!(bench.get("o").await.unwrap() == ours);
    assert_eq!(bench.get("theirs/1").await.unwrap(), "their bytes");
}
