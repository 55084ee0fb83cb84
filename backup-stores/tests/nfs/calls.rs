//! Calls whose answers are lost, refused or late, each at the one place where it matters.

use backup_core::error::codes;
use backup_core::store::{PutOptions, ReadOptions, WriteOptions};
use backup_core::{Effect, Store};
use backup_remote::codes as remote;
use futures::FutureExt;

use crate::bench::{Bench, ROOT, collect, context, data, impatient, key, open};
use crate::ganesha::wanted;
use crate::rpc_proxy::{
    BAD_COOKIE, COMMIT, CREATE, GETATTR, Gate, Harm, JUKEBOX, LINK, LOOKUP, MKDIR, NOTSUPP, READ, READDIRPLUS, REMOVE, RENAME,
    STALE, WRITE,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_of_any_call_changes_nothing_for_the_caller() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    let bytes = data((9 << 20) + 5);
    for (n, procedure) in [LOOKUP, MKDIR, CREATE, WRITE, COMMIT, GETATTR, LINK, REMOVE].into_iter().enumerate() {
        for (harm, said) in [(Harm::LoseAnswer, "answer"), (Harm::LoseCall, "call")] {
            let name = format!("dir-{n}-{said}/object");
            bench.proxy.once(procedure, harm);
            let meta = bench.write(&name, &bytes).await.unwrap_or_else(|error| panic!("procedure {procedure}: {error}"));
            assert_eq!(meta.size, bytes.len() as u64);
            assert!(bench.proxy.count(procedure) >= 2, "procedure {procedure} was not called again");
            assert_eq!(std::fs::read(bench.on_disk(&name)).unwrap(), bytes, "procedure {procedure}");
            assert_eq!(bench.unfinished(), 0, "procedure {procedure}, lost {said}");
            bench.proxy.once(READ, Harm::LoseAnswer);
            assert_eq!(bench.read(&name).await.unwrap(), bytes);
            // Who removed it and did not hear so has still removed it.
            bench.proxy.once(REMOVE, Harm::LoseAnswer);
            let report = bench.delete(&name).await;
            assert_eq!((report.deleted.len(), report.missing.len()), (1, 0), "{report:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_of_a_replacing_rename_is_settled_by_looking() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    for round in 0..2 {
        bench.proxy.once(RENAME, Harm::LoseAnswer);
        bench.store.put(&bench.cx, &key("a/b"), format!("{round}").into(), PutOptions::default()).await.unwrap();
        assert_eq!(bench.proxy.count(RENAME), 2);
        assert_eq!(bench.read("a/b").await.unwrap(), format!("{round}").as_bytes());
        assert_eq!(bench.unfinished(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_does_not_make_another_writers_object_ours() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    let writer = bench.writer("taken").await;
    std::fs::write(bench.on_disk("taken"), b"somebody else's").unwrap();
    bench.proxy.once(LINK, Harm::LoseAnswer);
    let error = writer.finish().await.unwrap_err();
    assert_eq!((error.code(), error.effect()), (&codes::STORE_EXISTS, Effect::None), "{error}");
    assert_eq!(std::fs::read(bench.on_disk("taken")).unwrap(), b"somebody else's");
    assert_eq!(bench.unfinished(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_later_is_asked_later() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    bench.proxy.plan(|procedure, number| (matches!(procedure, CREATE | LINK) && number == 1).then_some(Harm::Status(JUKEBOX)));
    bench.put("later", "x").await.unwrap();
    assert_eq!((bench.proxy.count(CREATE), bench.proxy.count(LINK)), (2, 2));
    bench.proxy.plan(|_, _| Some(Harm::Status(JUKEBOX)));
    let error = open(&bench.server.config_over(ROOT, bench.proxy.address.port()).requests(impatient())).await.unwrap_err();
    assert_eq!((error.code(), error.effect()), (&remote::OVERLOADED, Effect::None), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verifier_that_changes_makes_every_byte_since_the_last_commit_be_written_again() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    let bytes = data(20 << 20);
    // The second of three segments.
    bench.proxy.once(COMMIT, Harm::OtherVerifier);
    bench.write("again", &bytes).await.unwrap();
    assert_eq!((bench.proxy.count(WRITE), bench.proxy.count(COMMIT)), (20 + 8, 3 + 1));
    assert_eq!(std::fs::read(bench.on_disk("again")).unwrap(), bytes);
    // One write of many.
    bench.proxy.once(WRITE, Harm::OtherVerifier);
    bench.write("and again", &bytes).await.unwrap();
    assert!(bench.proxy.count(WRITE) >= 20 + 8, "{} writes", bench.proxy.count(WRITE));
    assert_eq!(std::fs::read(bench.on_disk("and again")).unwrap(), bytes);
    // For ever.
    bench.proxy.plan(|procedure, _| (procedure == COMMIT).then_some(Harm::OtherVerifier));
    let error = bench.write("never", &data(2 << 20)).await.unwrap_err();
    assert_eq!((error.code().name, error.effect()), ("nfs.lost_writes", Effect::None), "{error}");
    assert_eq!((bench.unfinished(), bench.names().await), (0, vec!["again".to_owned(), "and again".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_handle_is_looked_up_again() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    let bytes = data((9 << 20) + 5);
    for procedure in [LOOKUP, CREATE, WRITE, COMMIT, GETATTR, LINK, REMOVE, READ, READDIRPLUS] {
        let name = format!("stale/{procedure}");
        bench.proxy.once(procedure, Harm::Status(STALE));
        bench.write(&name, &bytes).await.unwrap_or_else(|error| panic!("procedure {procedure}: {error}"));
        assert_eq!(bench.read(&name).await.unwrap(), bytes, "procedure {procedure}");
        assert_eq!(bench.names().await, std::slice::from_ref(&name));
        bench.proxy.once(procedure, Harm::Status(STALE));
        assert_eq!(bench.delete(&name).await.deleted.len(), 1, "procedure {procedure}");
        assert_eq!(bench.unfinished(), 0, "procedure {procedure}");
    }
    // Every handle, the export's too: the server's file system is another one.
    bench.put("kept", "x").await.unwrap();
    bench.proxy.plan(|procedure, number| (procedure == LOOKUP && number <= 2).then_some(Harm::Status(STALE)));
    assert_eq!(bench.read("kept").await.unwrap(), b"x");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_goes_on_over_a_stale_handle_but_never_in_another_file() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    let bytes = data(6 << 20);
    bench.write("read", &bytes).await.unwrap();
    bench.proxy.plan(|procedure, number| (procedure == READ && number == 3).then_some(Harm::Status(STALE)));
    assert_eq!(bench.read("read").await.unwrap(), bytes);

    let read = bench.store.read(&bench.cx, &key("read"), ReadOptions::default()).await.unwrap();
    bench.proxy.plan(|procedure, _| (procedure == READ).then_some(Harm::Status(STALE)));
    std::fs::write(bench.on_disk("other"), vec![7; 6 << 20]).unwrap();
    std::fs::rename(bench.on_disk("other"), bench.on_disk("read")).unwrap();
    let error = collect(read).await.unwrap_err();
    assert_eq!(error.code(), &codes::STORE_IO, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_changes_while_it_is_read_is_read_again() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    for name in ["a", "b/c", "d"] {
        bench.put(name, "x").await.unwrap();
    }
    for harm in [BAD_COOKIE, NOTSUPP] {
        bench.proxy.once(READDIRPLUS, Harm::Status(harm));
        assert_eq!(bench.names().await, ["a", "b/c", "d"]);
    }
    // A server without READDIRPLUS, and one that never gets to the end of it.
    for harm in [BAD_COOKIE, NOTSUPP] {
        bench.proxy.plan(move |procedure, _| (procedure == READDIRPLUS).then_some(Harm::Status(harm)));
        assert_eq!(bench.names().await, ["a", "b/c", "d"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_hard_links_the_store_claims_no_conditional_creation_and_still_never_replaces() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    assert!(bench.store.capabilities().conditional_create);
    bench.proxy.plan(|procedure, _| (procedure == LINK).then_some(Harm::Status(NOTSUPP)));
    let store = open(&bench.server.config_over(ROOT, bench.proxy.address.port())).await.unwrap();
    assert!(!store.capabilities().conditional_create);
    store.put(&bench.cx, &key("a/b"), "first".into(), PutOptions::if_absent()).await.unwrap();
    let mut writer = store.writer(&bench.cx, &key("a/b"), WriteOptions::new(bench.cx.job().clone())).await.unwrap();
    writer.write("second".into()).await.unwrap();
    let error = writer.finish().await.unwrap_err();
    assert_eq!((error.code(), error.effect()), (&codes::STORE_EXISTS, Effect::None), "{error}");
    assert_eq!(bench.read("a/b").await.unwrap(), b"first");
    assert_eq!(bench.unfinished(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_cancelled_while_the_name_is_given_knows_whether_it_was() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    let cancelled = async |name: &str, harm: Harm, gate: &Gate| {
        let cx = context();
        let writer = bench.store.writer(&cx, &key(name), WriteOptions::new(cx.job().clone())).await.unwrap();
        bench.proxy.once(LINK, harm);
        let finish = tokio::spawn(writer.finish());
        gate.reached().await;
        cx.cancel_token().cancel();
        finish.await.unwrap()
    };
    // The server never got it: the temporary file goes, and a link that comes later finds none.
    let gate = Gate::default();
    let error = cancelled("before", Harm::Hold(gate.clone()), &gate).await.unwrap_err();
    assert_eq!((error.code(), error.effect()), (&codes::JOB_CANCELLED, Effect::None), "{error}");
    assert_eq!(bench.unfinished(), 0);
    gate.open();
    gate.answered().await;
    assert!(bench.names().await.is_empty());
    // The server did it, and the answer is on its way.
    let gate = Gate::default();
    let meta = cancelled("after", Harm::HoldAnswer(gate.clone()), &gate).await.unwrap();
    assert_eq!(meta.key.as_str(), "after");
    assert_eq!((bench.names().await, bench.unfinished()), (vec!["after".to_owned()], 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_dropped_latches_the_writer() {
    if !wanted() {
        return;
    }
    let bench = Bench::new().await;
    let gate = Gate::default();
    let held = gate.clone();
    bench.proxy.plan(move |procedure, _| (procedure == WRITE).then(|| Harm::Hold(held.clone())));
    let mut writer = bench.writer("latched").await;
    writer.write(data(8 << 20)).now_or_never().expect("the first segment is on its way").unwrap();
    // It fills the second one, and waits for the first.
    assert!(writer.write(data(8 << 20)).now_or_never().is_none());
    gate.open();
    assert_eq!(writer.write(data(1)).await.unwrap_err().code(), &codes::STORE_WRITER_FAILED);
    assert_eq!(writer.finish().await.unwrap_err().code(), &codes::STORE_WRITER_FAILED);
    assert!(bench.names().await.is_empty());
}
