//! The Swift store over connections that break.
#![cfg(feature = "swift")]
#![allow(clippy::unwrap_used, reason = "test helpers stand outside of the test functions")]

#[path = "support/swift_bench.rs"]
mod bench;
#[path = "support/openstack.rs"]
mod openstack;

use std::time::Duration;

use backup_core::store::{PutOptions, ReadOptions, WriteOptions};
use backup_core::{Effect, ErrorKind, KeyPrefix, Store, StoreExt};
use backup_remote::CallLimits;
use backup_remote::testkit::{Ending, Gate, Harm, Reply, RequestFault, Which};
use backup_stores::OpenOptions;
use backup_stores::swift::SwiftStore;
use bench::{Bench, MIB, data, impatient, key};
use futures::TryStreamExt;
use openstack::context;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_over_breaking_connections_is_byte_identical() {
    let Some(bench) = Bench::new(CallLimits::default()).await else { return };
    let cut = |after| RequestFault::RequestBody(Harm::Cut { after, ending: Ending::Reset });
    let faults = [
        bench.proxy.requests(Which::nth(1), "PUT", "/00000000", RequestFault::Reset),
        bench.proxy.requests(Which::nth(1), "PUT", "/00000001", cut(100_000)),
        bench.proxy.requests(Which::nth(1), "PUT", "/00000002", RequestFault::Answer(Reply::status(503).retry_after(1))),
        bench.proxy.requests(Which::nth(1), "PUT", "/00000003", RequestFault::LoseAnswer),
        bench.proxy.requests(Which::nth(1), "PUT", "/00000004", RequestFault::RequestBody(Harm::FlipAt(77_777))),
        bench.proxy.requests(Which::nth(1), "PUT", "/00000005", RequestFault::Answer(Reply::status(401))),
        bench.proxy.requests(Which::nth(1), "PUT", "multipart-manifest=put", RequestFault::LoseAnswer),
        bench.proxy.requests(Which::nth(1), "HEAD", "/big", RequestFault::Answer(Reply::status(500).early())),
    ];
    let bytes = data(1, 7 * MIB + 5);
    bench.write("big", &bytes).await.unwrap();
    assert!(faults.iter().all(|fault| fault.hits() == 1), "{:?}", faults.map(|fault| fault.hits()));
    assert!(bench.get("big").await.unwrap() == bytes, "the bytes that come back are others");
    let segments = format!("{}_segments", bench.config.container);
    assert!(bench.openstack.names(&segments, ".backup/tmp/open/").await.is_empty(), "the upload is not settled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_whose_answer_is_lost_is_settled_by_looking() {
    let Some(bench) = Bench::new(CallLimits::default()).await else { return };
    let lost = bench.proxy.requests(Which::next(), "PUT", "/mine", RequestFault::LoseAnswer);
    bench.store.put(&bench.cx, &key("mine"), "mine".into(), PutOptions::if_absent()).await.unwrap();
    assert_eq!(lost.hits(), 1);
    assert!(bench.proxy.count("PUT", "/mine") >= 2, "it was repeated, and answered with 412 for what was ours");

    bench.store.put(&bench.cx, &key("other"), "other".into(), PutOptions::if_absent()).await.unwrap();
    bench.proxy.requests(Which::next(), "PUT", "/other", RequestFault::Reset);
    let error = bench.store.put(&bench.cx, &key("other"), "mine".into(), PutOptions::if_absent()).await.unwrap_err();
    assert_eq!(error.code().name, "store.exists");
    assert_eq!(bench.get("other").await.unwrap(), "other");

    let lost = bench.proxy.requests(Which::next(), "DELETE", "/mine", RequestFault::LoseAnswer);
    let report = bench.store.delete(&bench.cx, &[key("mine")]).await.unwrap();
    assert_eq!((lost.hits(), report.deleted), (1, vec![key("mine")]), "what an attempt without an answer removed counts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_401_after_a_lost_answer_leaves_the_effect_unknown() {
    let Some(bench) = Bench::new(CallLimits::default()).await else { return };
    bench.store.put(&bench.cx, &key("gone"), "x".into(), PutOptions::if_absent()).await.unwrap();
    let lost = bench.proxy.requests(Which::nth(1), "DELETE", "/gone", RequestFault::LoseAnswer);
    let refused = bench.proxy.requests(Which::after(1), "DELETE", "/gone", RequestFault::Answer(Reply::status(401)));
    let report = bench.store.delete(&bench.cx, &[key("gone")]).await.unwrap();
    assert_eq!((lost.hits(), refused.hits()), (1, 2), "once more with a renewed token, and no more");
    let [(_, error)] = report.failed.as_slice() else { panic!("{report:?}") };
    assert_eq!((error.code().name, error.effect()), ("store.denied", Effect::Unknown), "{error}");
    assert!(bench.store.head(&bench.cx, &key("gone")).await.unwrap_err().is_not_found(), "it was removed");

    // Refused at once it certainly did nothing.
    bench.store.put(&bench.cx, &key("there"), "x".into(), PutOptions::if_absent()).await.unwrap();
    bench.proxy.requests(Which::all(), "DELETE", "/there", RequestFault::Answer(Reply::status(401)));
    let report = bench.store.delete(&bench.cx, &[key("there")]).await.unwrap();
    assert_eq!(report.failed.iter().map(|(_, error)| error.effect()).collect::<Vec<_>>(), [Effect::None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_fails_at_the_end_leaves_no_object_and_no_segments() {
    let Some(bench) = Bench::new(impatient()).await else { return };
    let segments = format!("{}_segments", bench.config.container);
    let lost = || RequestFault::LoseAnswer;
    let faults = [("refused", RequestFault::Answer(Reply::status(403))), ("broken", RequestFault::Reset), ("lost", lost())];
    for (name, fault) in faults {
        // The last segment is sent by `finish` alone.
        let mut writer = bench.store.writer(&bench.cx, &key(name), WriteOptions::new(bench.cx.job().clone())).await.unwrap();
        writer.write(data(1, 3 * MIB + 5)).await.unwrap();
        let failing = bench.proxy.requests(Which::all(), "PUT", "/00000003", fault);
        let error = writer.finish().await.unwrap_err();
        bench.proxy.clear();
        assert!(failing.hits() > 0 && error.effect() == Effect::None, "{name}: {error}");
        assert!(bench.store.head(&bench.cx, &key(name)).await.unwrap_err().is_not_found(), "{name}: there is an object");
        let left = bench.openstack.names(&segments, ".backup/tmp/parts/").await;
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_goes_on_where_it_broke() {
    let Some(bench) = Bench::new(impatient()).await else { return };
    let bytes = data(2, 5 * MIB);
    bench.write("broken", &bytes).await.unwrap();
    bench.store.put(&bench.cx, &key("plain"), bytes.clone(), PutOptions::if_absent()).await.unwrap();
    let cut = |after| RequestFault::AnswerBody(Harm::Cut { after, ending: Ending::Close });
    for name in ["broken", "plain"] {
        let target = format!("/{name}");
        bench.proxy.requests(Which::nth(1), "GET", &target, cut(2 * MIB as u64 + 3));
        bench.proxy.requests(Which::nth(2), "GET", &target, RequestFault::Answer(Reply::status(503)));
        bench.proxy.requests(
            Which::nth(3),
            "GET",
            &target,
            RequestFault::AnswerBody(Harm::Hold { after: 1000, gate: Gate::default() }),
        );
        bench.proxy.requests(Which::nth(4), "GET", &target, RequestFault::WrongLength(-100));
        assert!(bench.get(name).await.unwrap() == bytes, "{name}");
        assert!(bench.proxy.count("GET", &target) >= 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_answers_ends_in_time_with_its_class() {
    let Some(bench) = Bench::new(impatient()).await else { return };
    bench.store.put(&bench.cx, &key("there"), "x".into(), PutOptions::if_absent()).await.unwrap();
    bench.proxy.requests(Which::all(), "", "", RequestFault::BlackHole);
    let limited = bench.cx.with_limit(Duration::from_secs(4));
    let error = bench.store.head(&limited, &key("there")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let read = bench.store.read(&limited, &key("there"), ReadOptions::default()).await.unwrap_err();
    assert_eq!(read.kind(), ErrorKind::Timeout, "{read}");

    bench.proxy.clear();
    bench.proxy.down().await;
    let limited = context().with_limit(Duration::from_secs(4));
    let listed = bench.store.list(&limited, &KeyPrefix::root(), Default::default()).try_collect::<Vec<_>>().await;
    let error = listed.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error}");
    let error = SwiftStore::open(&limited, &bench.config, &OpenOptions::default()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error}");
    assert!(!format!("{error:?}").contains(&bench.openstack.password()), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_breaks_off_is_asked_for_again() {
    let Some(bench) = Bench::new(CallLimits::default()).await else { return };
    for name in ["a", "b", "c"] {
        bench.store.put(&bench.cx, &key(name), name.into(), PutOptions::if_absent()).await.unwrap();
    }
    let cut = RequestFault::AnswerBody(Harm::Cut { after: 100, ending: Ending::Reset });
    let broken = bench.proxy.requests(Which::next(), "GET", "format=json", cut);
    let listed = bench.store.list_all(&bench.cx, &KeyPrefix::root()).await.unwrap();
    assert_eq!((broken.hits(), listed.len()), (1, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_delete_tells_what_failed_although_its_status_is_200() {
    let Some(bench) = Bench::new(CallLimits::default()).await else { return };
    let keys = ["d/a", "d/b+c", "d/c"].map(key);
    for key in &keys {
        bench.store.put(&bench.cx, key, "x".into(), PutOptions::if_absent()).await.unwrap();
    }
    let body = format!(
        r#"{{"Number Deleted": 2, "Number Not Found": 0, "Response Status": "400 Bad Request", "Response Body": "",
            "Errors": [["/{}/d/b%2Bc", "503 Service Unavailable"]]}}"#,
        bench.config.container
    );
    bench.proxy.requests(Which::next(), "POST", "bulk-delete", RequestFault::Answer(Reply::status(200).body(body)));
    let report = bench.store.delete(&bench.cx, &keys).await.unwrap();
    assert_eq!(report.deleted, [key("d/a"), key("d/c")]);
    assert_eq!(report.failed.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["d/b+c"]);

    // The answer breaks off after everything was removed: nobody is told that something failed.
    bench.proxy.requests(Which::next(), "POST", "bulk-delete", RequestFault::LoseAnswer);
    let report = bench.store.delete(&bench.cx, &keys).await.unwrap();
    assert_eq!((report.deleted.len(), report.failed.len()), (3, 0), "{report:?}");
}
