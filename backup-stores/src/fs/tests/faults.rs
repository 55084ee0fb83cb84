//! Each system call of each operation fails once with each errno.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use backup_core::store::{PutOptions, SweepOptions, WriteOptions};
use backup_core::{Bytes, Effect, Error, Result, Store, StoreExt};
use rustix::io::Errno;

use super::watched::{self, Fault, Watched, What};
use super::{context, get, key, list, put, unfinished};
use crate::fs::FsStore;

const ERRNOS: [(Errno, &str); 6] = [
    (Errno::NOSPC, "store.no_space"),
    (Errno::DQUOT, "store.no_space"),
    (Errno::IO, "store.io"),
    (Errno::ROFS, "store.read_only"),
    (Errno::MFILE, "store.busy"),
    (Errno::ACCESS, "store.denied"),
];

const KEY: &str = "a/b/k";
type Running<'a> = Pin<Box<dyn Future<Output = Result<()>> + 'a>>;
type Operation = for<'a> fn(&'a FsStore) -> Running<'a>;

/// Two pieces of 1 MiB.
fn body() -> Bytes {
    static BODY: LazyLock<Bytes> = LazyLock::new(|| (0..2 * 1024 * 1024u32).map(|n| (n % 251) as u8).collect());
    BODY.clone()
}

fn put_once(store: &FsStore) -> Running<'_> {
    Box::pin(async { store.put(&context(), &key(KEY), body(), PutOptions::if_absent()).await.map(drop) })
}

fn put_over(store: &FsStore) -> Running<'_> {
    Box::pin(async { store.put(&context(), &key(KEY), body(), PutOptions::default()).await.map(drop) })
}

/// The engine's way: an error of `write` is followed by `abort`, one of `finish` by nothing.
fn write_once(store: &FsStore) -> Running<'_> {
    Box::pin(async {
        let cx = context();
        let mut writer = store.writer(&cx, &key(KEY), WriteOptions::new(cx.job().clone())).await?;
        for piece in body().chunks(1024 * 1024) {
            if let Err(error) = writer.write(Bytes::copy_from_slice(piece)).await {
                let again = writer.write(Bytes::new()).await.unwrap_err();
                assert_eq!(again.code().name, "store.writer_failed");
                writer.abort().await?;
                return Err(error);
            }
        }
        writer.finish().await.map(drop)
    })
}

/// Which calls of `operation` there are, each with how often it is made.
async fn calls(operation: Operation, before: &[&str]) -> BTreeSet<(&'static str, usize)> {
    let dir = tempfile::tempdir().unwrap();
    let (store, watched) = prepared(dir.path(), before).await;
    operation(&store).await.unwrap();
    let mut calls = BTreeSet::new();
    let log = std::mem::take(&mut watched.state().log);
    for (index, (call, _)) in log.iter().enumerate() {
        calls.insert((*call, log.iter().take(index + 1).filter(|(other, _)| other == call).count()));
    }
    calls
}

async fn prepared(root: &Path, before: &[&str]) -> (FsStore, Arc<Watched>) {
    let (store, watched) = watched::open(root);
    for name in before {
        put(&store, name, b"before").await.unwrap();
    }
    watched.state().log.clear();
    (store, watched)
}

async fn faulted(operation: Operation, before: &[&str], fault: Fault) -> (tempfile::TempDir, FsStore, Result<()>) {
    let dir = tempfile::tempdir().unwrap();
    let (store, watched) = prepared(dir.path(), before).await;
    watched.state().faults = vec![fault];
    let result = operation(&store).await;
    assert_eq!(watched.state().fired, 1, "{fault:?} was not exercised");
    watched.state().faults.clear();
    (dir, store, result)
}

async fn check_writing(operation: Operation, before: &[&str], old: Option<&[u8]>) {
    let mut failures = 0;
    for (call, nth) in calls(operation, before).await {
        for (errno, code) in ERRNOS {
            let fault = Fault { call, nth, what: What::Fail(errno) };
            let (dir, store, result) = faulted(operation, before, fault).await;
            let stored = store.get_opt(&context(), &key(KEY), 1 << 30).await.unwrap();
            let visible = list(&store, "a").await.contains(&KEY.to_owned());
            let context_of = format!("{fault:?}: {result:?}");
            assert_eq!(stored.is_some(), visible, "{context_of}");
            match &result {
                Ok(()) => {
                    // What is tried early, or tidied up late, may fail; what is in between may not.
                    assert!(matches!(call, "stat" | "open_dir" | "unlink"), "{context_of}");
                    assert_eq!(stored.as_deref(), Some(&body()[..]), "{context_of}");
                }
                Err(error) => {
                    failures += 1;
                    check_text(error, code, errno);
                    match error.effect() {
                        Effect::None => {
                            assert_eq!(stored.as_deref(), old, "{context_of}");
                            assert!(unfinished(dir.path()).is_empty(), "{context_of}");
                        }
                        Effect::Unknown => {
                            assert_eq!(call, "sync_dir", "only the last step may be unknown: {context_of}");
                            assert_eq!(stored.as_deref(), Some(&body()[..]), "{context_of}");
                        }
                        other => panic!("{other:?}: {context_of}"),
                    }
                }
            }
            let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
            store.sweep(&context(), SweepOptions::new(later, Vec::new())).await.unwrap();
            assert!(unfinished(dir.path()).is_empty(), "{context_of}");
        }
    }
    assert!(failures > 30, "only {failures} faults led to an error");
}

fn check_text(error: &Error, code: &str, errno: Errno) {
    assert_eq!(error.code().name, code, "{error}");
    let text = error.to_string();
    assert!(text.contains(&std::io::Error::from(errno).to_string()) && text.contains('`'), "{text}");
    if errno == Errno::MFILE {
        assert!(text.contains("ulimit -n"), "{text}");
    }
}

#[tokio::test]
async fn put_fails_clean_at_each_call() {
    check_writing(put_once, &[], None).await;
}

#[tokio::test]
async fn put_that_replaces_fails_clean_at_each_call() {
    check_writing(put_over, &[KEY], Some(b"before")).await;
}

#[tokio::test]
async fn writer_fails_clean_at_each_call() {
    check_writing(write_once, &[], None).await;
}

#[tokio::test]
async fn a_short_write_is_continued() {
    for operation in [put_once as Operation, write_once] {
        let (_dir, store, result) = faulted(operation, &[], Fault { call: "write", nth: 1, what: What::Short }).await;
        result.unwrap();
        assert_eq!(get(&store, KEY).await.unwrap(), body());
    }
}

#[tokio::test]
async fn a_lost_answer_to_link_is_settled_by_looking() {
    for errno in [Errno::EXIST, Errno::IO] {
        let fault = Fault { call: "link", nth: 1, what: What::FailAfter(errno) };
        let (dir, store, result) = faulted(put_once, &[], fault).await;
        result.unwrap();
        assert_eq!(get(&store, KEY).await.unwrap(), body());
        assert!(unfinished(dir.path()).is_empty());
    }
}

#[tokio::test]
async fn without_hard_links_a_rename_that_does_not_replace_publishes() {
    for errno in [Errno::PERM, Errno::OPNOTSUPP, Errno::MLINK] {
        let dir = tempfile::tempdir().unwrap();
        let (store, watched) = prepared(dir.path(), &[]).await;
        watched.state().faults = vec![Fault { call: "link", nth: 0, what: What::Fail(errno) }];
        put_once(&store).await.unwrap();
        let changes = watched.changes();
        assert!(changes.ends_with(&["rename_new a/b/k".into(), "sync_dir a/b".into()]), "{changes:?}");
        let taken = write_once(&store).await.unwrap_err();
        assert_eq!((taken.code().name, taken.effect()), ("store.exists", Effect::None));
        assert!(unfinished(dir.path()).is_empty());

        let no_rename = Fault { call: "rename_new", nth: 0, what: What::Fail(Errno::INVAL) };
        watched.state().faults.push(no_rename);
        let error = put(&store, "other", b"x").await.unwrap_err();
        assert_eq!((error.code().name, error.effect()), ("fs.no_atomic_create", Effect::None));
    }
}

fn delete_three(store: &FsStore) -> Running<'_> {
    Box::pin(async { store.delete(&context(), &["a/b/k", "a/b/l", "c/k"].map(key)).await?.into_result() })
}

#[tokio::test]
async fn delete_goes_on_and_reports_each_failure() {
    let before = ["a/b/k", "a/b/l", "c/k", "c/stays"];
    for (call, nth) in calls(delete_three, &before).await {
        for (errno, code) in ERRNOS {
            let dir = tempfile::tempdir().unwrap();
            let (store, watched) = prepared(dir.path(), &before).await;
            watched.state().faults = vec![Fault { call, nth, what: What::Fail(errno) }];
            let report = store.delete(&context(), &["a/b/k", "a/b/l", "c/k"].map(key)).await.unwrap();
            assert_eq!(watched.state().fired, 1, "{call} {nth} was not exercised");
            watched.state().faults.clear();
            let left = list(&store, "").await;
            assert_eq!(report.deleted.len() + report.failed.len(), 3, "{call} {nth}: {report:?}");
            for key in &report.deleted {
                assert!(!left.contains(&key.to_string()), "{call} {nth}: {key} was reported as deleted");
            }
            for (key, error) in &report.failed {
                check_text(error, code, errno);
                let there = left.contains(&key.to_string());
                let expected = if there { Effect::None } else { Effect::Unknown };
                assert_eq!(error.effect(), expected, "{call} {nth}: {key}: {error}");
            }
            assert!(!report.failed.is_empty() || matches!(call, "remove_dir" | "open_dir"), "{call} {nth} was swallowed");
        }
    }
}
