//! The order of the system calls that durability rests on.

use std::sync::Arc;

use backup_core::store::PutOptions;
use backup_core::{Bytes, Store};

use super::watched::{self, Watched};
use super::{FsStore, context, key, put, write};

const TMP_MADE: [&str; 4] = ["make_dir .backup", "sync_dir .", "make_dir .backup/tmp", "sync_dir .backup"];
const BYTES: [&str; 3] = ["create .backup/tmp/T", "write .backup/tmp/T", "sync_file .backup/tmp/T"];
const NAMED: [&str; 3] = ["link a/b/k", "unlink .backup/tmp/T", "sync_dir a/b"];

/// A store whose directories are old enough to be remembered.
fn aged_store() -> (tempfile::TempDir, FsStore, Arc<Watched>) {
    let dir = tempfile::tempdir().unwrap();
    let (store, watched) = watched::open(dir.path());
    watched.state().aged = 10;
    (dir, store, watched)
}

#[tokio::test]
async fn bytes_then_directories_then_name_then_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (store, watched) = watched::open(dir.path());
    put(&store, "a/b/k", b"x").await.unwrap();
    let made = ["make_dir a", "sync_dir .", "make_dir a/b", "sync_dir a"];
    assert_eq!(watched.changes(), [&TMP_MADE[..], &BYTES, &made, &NAMED].concat());
}

#[tokio::test]
async fn a_writer_keeps_the_same_order() {
    let dir = tempfile::tempdir().unwrap();
    let (store, watched) = watched::open(dir.path());
    write(&store, &context(), "a/b/k", &[Bytes::from_static(b"x")]).await.unwrap();
    let made = ["make_dir a", "sync_dir .", "make_dir a/b", "sync_dir a"];
    assert_eq!(watched.changes(), [&TMP_MADE[..], &BYTES, &made, &NAMED].concat());
}

#[tokio::test]
async fn old_directories_known_to_be_durable_are_not_synced_again() {
    let (_dir, store, watched) = aged_store();
    put(&store, "a/b/first", b"x").await.unwrap();
    watched.changes();
    put(&store, "a/b/k", b"x").await.unwrap();
    assert_eq!(watched.changes(), [&BYTES[..], &NAMED].concat());
}

#[tokio::test]
async fn a_young_directory_is_synced_again_because_its_inode_may_be_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let (store, watched) = watched::open(dir.path());
    put(&store, "a/b/first", b"x").await.unwrap();
    watched.changes();
    put(&store, "a/b/k", b"x").await.unwrap();
    assert_eq!(
        watched.changes(),
        [&["sync_dir .", "sync_dir .backup"], &BYTES[..], &["sync_dir .", "sync_dir a"], &NAMED].concat()
    );
}

#[tokio::test]
async fn a_directory_somebody_else_made_is_synced_before_it_is_relied_on() {
    let (dir, store, watched) = aged_store();
    put(&store, "a/first", b"x").await.unwrap();
    watched.changes();
    std::fs::create_dir(dir.path().join("a/b")).unwrap();
    put(&store, "a/b/k", b"x").await.unwrap();
    assert_eq!(watched.changes(), [&BYTES[..], &["sync_dir a"], &NAMED].concat());
}

#[tokio::test]
async fn replacing_is_a_rename_between_the_same_syncs() {
    let (dir, store, watched) = aged_store();
    put(&store, "a/b/k", b"x").await.unwrap();
    watched.changes();
    store.put(&context(), &key("a/b/k"), Bytes::from_static(b"new"), PutOptions::default()).await.unwrap();
    assert_eq!(watched.changes(), [&BYTES[..], &["rename a/b/k", "sync_dir a/b"]].concat());
    assert_eq!(std::fs::read(dir.path().join("a/b/k")).unwrap(), b"new");
}

#[tokio::test]
async fn a_deleted_batch_syncs_each_directory_once_and_removes_empty_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (store, watched) = watched::open(dir.path());
    for name in ["a/b/1", "a/b/2", "a/3", "stays/1", "stays/2"] {
        put(&store, name, b"x").await.unwrap();
    }
    watched.changes();
    let keys = ["a/b/1", "stays/1", "a/b/2", "a/3", "a/4"].map(key);
    let report = store.delete(&context(), &keys).await.unwrap();
    assert_eq!((report.deleted.len(), report.missing, report.failed.len()), (4, vec![key("a/4")], 0));
    let expected = [
        "unlink stays/1",
        "remove_dir stays",
        "sync_dir stays",
        "unlink a/b/1",
        "unlink a/b/2",
        "remove_dir a/b",
        "unlink a/3",
        "remove_dir a",
        "sync_dir .",
    ];
    assert_eq!(watched.changes(), expected);
    assert!(!dir.path().join("a").exists() && dir.path().join("stays/2").exists());
}
