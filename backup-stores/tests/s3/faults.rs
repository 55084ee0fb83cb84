//! Every operation through every fault: it ends within its deadline, rightly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_core::store::{ListOptions, PutOptions, ReadOptions, Store, StoreExt, SweepOptions, UploadNotes, WriteOptions};
use backup_core::{Effect, Error, ErrorKind, JobContext, KeyPrefix, Result, async_trait};
use backup_remote::testkit::{Ending, FaultyProxy, Gate, Harm, Reply, RequestFault, Which};
use backup_stores::OpenOptions;
use chrono::{TimeDelta, Utc};
use futures::TryStreamExt;
use serde_json::json;

use crate::bench::{Bench, config, data, key, write};

const OPERATIONS: [&str; 7] = ["put", "write", "head", "read", "list", "delete", "sweep"];

async fn operate(cx: &JobContext, store: &dyn Store, operation: &str, n: usize) -> Result<()> {
    match operation {
        "put" => store.put(cx, &key(&format!("put/{n}")), "new".into(), PutOptions::if_absent()).await.map(drop),
        "write" => write(cx, store, &format!("write/{n}"), &data(1, 6 << 20), false).await.map(drop),
        "head" => store.head(cx, &key("there")).await.map(drop),
        "read" => {
            let bytes = store.get(cx, &key("there"), u64::MAX).await?;
            assert!(bytes == data(7, 300_000), "a read that ends well has the object's bytes");
            Ok(())
        }
        "list" => {
            let listed: Vec<_> = store.list(cx, &KeyPrefix::root(), ListOptions::default()).try_collect().await?;
            assert!(listed.iter().any(|meta| meta.key == key("there")), "a listing that ends well is whole");
            Ok(())
        }
        "delete" => store.delete(cx, &[key(&format!("victim/{n}")), key("there-not")]).await?.into_result(),
        _ => store.sweep(cx, SweepOptions::new(Utc::now() - TimeDelta::hours(1), vec![])).await.map(drop),
    }
}

/// What the operation `delete` removes.
async fn victim(bench: &Bench, store: &dyn Store, n: usize) {
    store.put(&bench.cx, &key(&format!("victim/{n}")), "x".into(), PutOptions::default()).await.unwrap();
}

async fn there(bench: &Bench, store: &dyn Store) {
    store.put(&bench.cx, &key("there"), data(7, 300_000), PutOptions::if_absent()).await.unwrap();
}

async fn prepared() -> Option<(Bench, Arc<dyn Store>)> {
    let bench = Bench::new().await?;
    let store = bench.store_with(|block| {
        block["part-size"] = json!(5 << 20);
        block["requests"] = json!({ "attempts": 3, "timeout-in-second": 1, "stall-timeout-in-second": 1 });
    });
    let store = store.await;
    there(&bench, &*store).await;
    Some((bench, store))
}

#[tokio::test]
async fn one_fault_is_mended_by_another_attempt() {
    let Some((bench, store)) = prepared().await else { return };
    let cut = |after| RequestFault::AnswerBody(Harm::Cut { after, ending: Ending::Reset });
    let faults = [
        RequestFault::Reset,
        RequestFault::BlackHole,
        RequestFault::LoseAnswer,
        RequestFault::Answer(Reply::status(500)),
        RequestFault::Answer(Reply::status(503).retry_after(1)),
        RequestFault::Answer(Reply::status(503).early()),
        RequestFault::Answer(Reply::status(400).body("<Error><Code>RequestTimeout</Code></Error>")),
        RequestFault::RequestBody(Harm::Cut { after: 2, ending: Ending::Reset }),
        RequestFault::WrongLength(5),
        cut(3),
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        for operation in OPERATIONS {
            // An answer to HEAD, which is the first request of a delete, has no body that could say why.
            let says_why = matches!(&fault, RequestFault::Answer(reply) if format!("{reply:?}").contains("status: 400"));
            if says_why && ["head", "delete"].contains(&operation) {
                continue;
            }
            victim(&bench, &*store, n).await;
            bench.proxy.requests(Which::next(), "", "", fault.clone());
            let done = operate(&bench.cx, &*store, operation, n).await;
            bench.proxy.clear();
            if operation == "read" && matches!(fault, RequestFault::WrongLength(_)) {
                // The first answer promised bytes that no other one has.
                assert_eq!(done.unwrap_err().code().name, "remote.answer");
                continue;
            }
            assert!(done.is_ok(), "{operation} after one {fault:?}: {}", done.unwrap_err());
        }
    }
    let left = bench.left();
    assert!(left.iter().all(|name| !name.contains(".backup") && !name.contains("unfinished")), "{left:?}");
}

fn expected(error: &Error, operation: &str) -> bool {
    let kind = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
    let effect = match operation {
        "put" | "write" | "delete" => true,
        _ => error.effect() == Effect::None,
    };
    kind && effect
}

#[tokio::test]
async fn a_fault_that_stays_ends_with_its_kind_of_error() {
    let Some((bench, store)) = prepared().await else { return };
    let faults = [
        RequestFault::Reset,
        RequestFault::Answer(Reply::status(503)),
        RequestFault::AnswerBody(Harm::Cut { after: 3, ending: Ending::Close }),
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        for operation in OPERATIONS {
            if matches!(fault, RequestFault::AnswerBody(_)) && matches!(operation, "put" | "head" | "write") {
                continue;
            }
            victim(&bench, &*store, 100 + n).await;
            bench.proxy.requests(Which::all(), "", "", fault.clone());
            let done = operate(&bench.cx, &*store, operation, 100 + n).await;
            bench.proxy.clear();
            let error = done.expect_err(operation);
            assert!(expected(&error, operation), "{operation} through {fault:?}: {error}");
        }
    }
}

#[tokio::test]
async fn every_operation_ends_with_its_deadline() {
    let Some((bench, store)) = prepared().await else { return };
    for operation in OPERATIONS {
        bench.proxy.requests(Which::all(), "", "", RequestFault::BlackHole);
        let cx = bench.cx.with_limit(Duration::from_millis(300));
        let done = operate(&cx, &*store, operation, 200).await;
        bench.proxy.clear();
        let error = done.expect_err(operation);
        assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{operation}: {error}");
    }
}

#[tokio::test]
async fn an_upload_that_is_repeated_is_byte_identical() {
    let Some((bench, store)) = prepared().await else { return };
    let lost = bench.proxy.requests(Which::nth(2), "PUT", "partNumber=", RequestFault::LoseAnswer);
    let bytes = data(3, 12 << 20);
    write(&bench.cx, &*store, "big", &bytes, false).await.unwrap();
    assert_eq!(lost.hits(), 1);
    let parts: Vec<_> = bench.proxy.seen().into_iter().filter(|seen| seen.matches("PUT", "p/big?partNumber=")).collect();
    let repeated: Vec<_> =
        parts.iter().filter(|seen| seen.target == parts.iter().find(|seen| seen.chosen).unwrap().target).collect();
    assert_eq!(repeated.len(), 2, "{parts:?}");
    assert_eq!((repeated[0].digest, repeated[0].bytes), (repeated[1].digest, repeated[1].bytes));
    assert!(repeated[0].digest.is_some());
    assert_eq!(store.get(&bench.cx, &key("big"), u64::MAX).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_part_that_fails_at_the_end_leaves_no_object_and_no_upload() {
    let Some((bench, store)) = prepared().await else { return };
    let denied = Reply::status(403).body("<Error><Code>AccessDenied</Code></Error>");
    let faults = [("denied", RequestFault::Answer(denied)), ("broken", RequestFault::Reset), ("lost", RequestFault::LoseAnswer)];
    for (name, fault) in faults {
        // The last part is sent by `finish` alone.
        let mut writer = store.writer(&bench.cx, &key(name), WriteOptions::new(bench.cx.job().clone())).await.unwrap();
        writer.write(data(1, (15 << 20) + 5)).await.unwrap();
        let failing = bench.proxy.requests(Which::all(), "PUT", "partNumber=", fault);
        let error = writer.finish().await.unwrap_err();
        bench.proxy.clear();
        assert!(failing.hits() > 0 && error.effect() == Effect::None, "{name}: {error}");
        assert_eq!(bench.left(), ["p/there"], "{name}");
    }
}

#[tokio::test]
async fn a_guest_gives_up_the_upload_that_its_notes_name_and_no_other() {
    let Some(bench) = Bench::new().await else { return };
    let guest = OpenOptions::default().guest(true);
    let store = config(bench.block()).open_with(&bench.cx, &guest).await.unwrap();
    let notes = Arc::new(Notes::default());
    let mut uploads = Vec::new();
    for _ in 0..2 {
        let options = WriteOptions::new(bench.cx.job().clone()).size_hint(Some(64 << 20)).notes(Some(notes.clone()));
        let mut writer = store.writer(&bench.cx, &key("big"), options).await.unwrap();
        writer.write(data(1, 6 << 20)).await.unwrap();
        uploads.push(writer);
    }
    // The first writer dies, the second one lives.
    drop(uploads.remove(0));
    let noted = notes.0.lock().unwrap().clone();
    assert_eq!((noted.len(), bench.server.uploads(&bench.bucket, "")), (2, 2), "{noted:?}");
    store.give_up(&bench.cx, &key("big"), &noted[0]).await.unwrap();
    assert_eq!(bench.server.uploads(&bench.bucket, ""), 1);
    store.give_up(&bench.cx, &key("big"), &noted[0]).await.unwrap();
    uploads.remove(0).finish().await.unwrap();
    // What was finished stays.
    store.give_up(&bench.cx, &key("big"), &noted[1]).await.unwrap();
    bench.has_only(&*store, "big", &data(1, 6 << 20)).await;
}

/// The uploads that were begun.
#[derive(Debug, Default)]
struct Notes(Mutex<Vec<String>>);

#[async_trait]
impl UploadNotes for Notes {
    async fn began(&self, upload: &str) -> Result<()> {
        self.0.lock().unwrap().push(upload.to_owned());
        Ok(())
    }
}

#[tokio::test]
async fn bytes_damaged_on_their_way_are_refused_by_their_checksum() {
    let Some((bench, store)) = prepared().await else { return };
    bench.proxy.requests(Which::all(), "PUT", "/p/one", RequestFault::RequestBody(Harm::FlipAt(1)));
    bench.proxy.requests(Which::all(), "PUT", "partNumber=2", RequestFault::RequestBody(Harm::FlipAt(1 << 20)));
    let error = store.put(&bench.cx, &key("one"), "mine".into(), PutOptions::if_absent()).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("s3.digest", Effect::None), "{error}");
    let error = write(&bench.cx, &*store, "big", &data(1, 12 << 20), false).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("s3.digest", Effect::None), "{error}");
    assert_eq!(bench.left(), ["p/there"]);
}

#[tokio::test]
async fn a_body_goes_on_where_it_broke_off() {
    let Some((bench, store)) = prepared().await else { return };
    bench.proxy.requests(
        Which::nth(1),
        "GET",
        "/p/there",
        RequestFault::AnswerBody(Harm::Cut { after: 100_000, ending: Ending::Reset }),
    );
    bench.proxy.requests(
        Which::nth(2),
        "GET",
        "/p/there",
        RequestFault::AnswerBody(Harm::Hold { after: 50_000, gate: Gate::default() }),
    );
    let read = store.read(&bench.cx, &key("there"), ReadOptions::range(1000..250_000)).await.unwrap();
    let pieces: Vec<_> = read.body.try_collect().await.unwrap();
    assert!(pieces.concat() == data(7, 300_000)[1000..250_000]);
    assert_eq!(bench.proxy.count("GET", "/p/there"), 3);
}

#[tokio::test]
async fn a_body_does_not_go_on_in_another_object() {
    let Some((bench, store)) = prepared().await else { return };
    let gate = Gate::default();
    bench.proxy.requests(
        Which::nth(1),
        "GET",
        "/p/there",
        RequestFault::AnswerBody(Harm::Hold { after: 100_000, gate: gate.clone() }),
    );
    let read = store.read(&bench.cx, &key("there"), ReadOptions::default()).await.unwrap();
    gate.reached().await;
    store.put(&bench.cx, &key("there"), data(8, 300_000), PutOptions::default()).await.unwrap();
    let error = read.body.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.code().name, "store.io", "{error}");
}

#[tokio::test]
async fn a_server_behind_a_dead_connection_is_reached_again() {
    let Some((bench, store)) = prepared().await else { return };
    let proxy: &FaultyProxy = &bench.proxy;
    proxy.down().await;
    let (cx, its_store) = (bench.cx.clone(), store.clone());
    let waiting = tokio::spawn(async move { its_store.head(&cx, &key("there")).await });
    proxy.up().await;
    waiting.await.unwrap().unwrap();
}
