//! Writers, modes, and keys that do not fit.

use std::os::unix::fs::PermissionsExt;

use backup_core::store::{StoreExt, WriteOptions};
use backup_core::{Bytes, Effect, KeyPrefix, Store};
use futures::poll;

use super::{FsConfig, FsStore, context, get, key, list, new_store, put, unfinished, watched, write};

#[tokio::test]
async fn pieces_of_any_size_arrive_in_order() {
    let (dir, store) = new_store();
    let sizes = [1, 0, 300_000, 17, 1024 * 1024, 262_143, 262_144, 5_000_000, 1, 1, 900_000, 3];
    let pieces: Vec<_> = sizes.iter().zip(1u8..).map(|(size, n)| Bytes::from(vec![n; *size])).collect();
    write(&store, &context(), "k", &pieces).await.unwrap();
    assert!(get(&store, "k").await.unwrap() == pieces.concat());
    assert!(unfinished(dir.path()).is_empty());
}

#[tokio::test]
async fn write_back_starts_before_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (store, watched) = watched::open(dir.path());
    let cx = context();
    let mut writer = store.writer(&cx, &key("k"), WriteOptions::new(cx.job().clone())).await.unwrap();
    for _ in 0..3 {
        writer.write(Bytes::from(vec![1; 1024 * 1024])).await.unwrap();
    }
    writer.finish().await.unwrap();
    assert!(watched.state().write_backs > 0);
    assert_eq!(get(&store, "k").await.unwrap().len(), 3 * 1024 * 1024);
}

#[tokio::test]
async fn files_and_directories_are_for_the_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("above/root");
    let store = FsStore::open(FsConfig::new(&root)).unwrap();
    put(&store, "a/b/put", b"x").await.unwrap();
    let cx = context();
    let mut writer = store.writer(&cx, &key("a/written"), WriteOptions::new(cx.job().clone())).await.unwrap();
    writer.write(Bytes::from_static(b"x")).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&unfinished(&root)[0]), 0o600);
    writer.finish().await.unwrap();
    for (path, expected) in [
        ("", 0o700),
        ("a", 0o700),
        ("a/b", 0o700),
        (".backup", 0o700),
        (".backup/tmp", 0o700),
        ("a/b/put", 0o600),
        ("a/written", 0o600),
    ] {
        assert_eq!(mode(&root.join(path)), expected, "{path}");
    }
    assert_eq!(mode(&dir.path().join("above")), 0o700);
}

#[tokio::test]
async fn abort_works_after_a_cancel_and_leaves_nothing() {
    let (dir, store) = new_store();
    let cx = context();
    let mut writer = store.writer(&cx, &key("k"), WriteOptions::new(cx.job().clone())).await.unwrap();
    writer.write(Bytes::from(vec![1; 3_000_000])).await.unwrap();
    cx.cancel_token().cancel();
    assert_eq!(writer.write(Bytes::from_static(b"x")).await.unwrap_err().code().name, "job.cancelled");
    assert_eq!(writer.write(Bytes::from_static(b"x")).await.unwrap_err().code().name, "store.writer_failed");
    writer.abort().await.unwrap();
    assert!(unfinished(dir.path()).is_empty() && list(&store, "").await.is_empty());
}

#[tokio::test]
async fn finish_after_a_cancel_or_a_failed_write_has_no_effect_and_leaves_nothing() {
    let (dir, store) = new_store();
    for write_first in [false, true] {
        let cx = context();
        let mut writer = store.writer(&cx, &key("k"), WriteOptions::new(cx.job().clone())).await.unwrap();
        cx.cancel_token().cancel();
        if write_first {
            writer.write(Bytes::from_static(b"x")).await.unwrap_err();
        }
        let error = writer.finish().await.unwrap_err();
        let expected = if write_first { "store.writer_failed" } else { "job.cancelled" };
        assert_eq!((error.code().name, error.effect()), (expected, Effect::None));
        assert!(unfinished(dir.path()).is_empty() && list(&store, "").await.is_empty());
    }
}

#[tokio::test]
async fn a_dropped_write_latches_the_writer() {
    let (_dir, store) = new_store();
    let cx = context();
    let mut writer = store.writer(&cx, &key("k"), WriteOptions::new(cx.job().clone())).await.unwrap();
    let mut piece = 0;
    loop {
        piece += 1;
        let mut call = writer.write(Bytes::from(vec![piece; 1024 * 1024]));
        if poll!(&mut call).is_pending() {
            break;
        }
    }
    assert_eq!(writer.write(Bytes::new()).await.unwrap_err().code().name, "store.writer_failed");
    assert_eq!(writer.finish().await.unwrap_err().code().name, "store.writer_failed");
}

#[tokio::test]
async fn keys_that_a_file_system_cannot_hold_are_refused_by_name() {
    let (_dir, store) = new_store();
    put(&store, "object", b"x").await.unwrap();
    put(&store, "dir/k", b"x").await.unwrap();
    for (name, code) in [("object/below", "fs.in_the_way"), ("dir", "fs.in_the_way"), ("object", "store.exists")] {
        let error = put(&store, name, b"y").await.unwrap_err();
        assert_eq!((error.code().name, error.effect()), (code, Effect::None), "{error}");
        assert!(error.to_string().contains(name.split('/').next().unwrap()), "{error}");
        let error = write(&store, &context(), name, &[]).await.unwrap_err();
        assert_eq!(error.code().name, code, "{error}");
    }
    let long = vec!["d".repeat(200); 5].join("/");
    put(&store, &long, b"x").await.unwrap();
    assert_eq!(get(&store, &long).await.unwrap(), "x");
}

#[tokio::test]
async fn the_answer_tells_size_and_time_and_the_place_for_other_programs() {
    let (dir, store) = new_store();
    put(&store, "a/k", b"four").await.unwrap();
    let meta = store.head_opt(&context(), &key("a/k")).await.unwrap().unwrap();
    assert_eq!(meta.size, 4);
    let age = chrono::Utc::now() - meta.modified.unwrap();
    assert!(age.num_seconds().abs() < 60, "{age}");
    let place = store.external_location(&KeyPrefix::new("a").unwrap()).unwrap();
    assert_eq!(place.url, format!("file://{}/a/", dir.path().display()));
}
