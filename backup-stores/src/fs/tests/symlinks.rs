//! Symbolic links below the root are refused, by the kernel's own resolution and by the one segment by segment.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use backup_core::store::{PutOptions, ReadOptions, StoreExt, WriteOptions};
use backup_core::{Bytes, Effect, Error, KeyPrefix, Store};

use super::{context, get, key, list, put};
use crate::fs::ops::RealOps;
use crate::fs::{FsConfig, FsStore};

fn stores(root: &Path) -> [FsStore; 2] {
    [true, false].map(|openat2| FsStore::open_with(&FsConfig::new(root), true, |_| Arc::new(RealOps { openat2 })).unwrap())
}

fn refused(error: &Error, name: &str) {
    assert_eq!((error.code().name, error.effect()), ("fs.symlink", Effect::None), "{error}");
    assert!(error.to_string().contains(name), "{error}");
}

#[tokio::test]
async fn a_link_instead_of_a_directory_is_refused_by_every_call() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(dir.path().join("real")).unwrap();
    std::fs::write(outside.path().join("k"), "secret").unwrap();
    symlink(outside.path(), dir.path().join("out")).unwrap();
    symlink(outside.path(), dir.path().join("real/out")).unwrap();
    symlink("real", dir.path().join("inside")).unwrap();
    for store in stores(dir.path()) {
        for name in ["out/k", "real/out/k", "inside/k", "out/new/k"] {
            let (cx, key) = (context(), key(name));
            refused(&put(&store, name, b"x").await.unwrap_err(), name.rsplit_once('/').unwrap().0.split('/').next().unwrap());
            refused(&store.head(&cx, &key).await.unwrap_err(), name);
            refused(&store.read(&cx, &key, ReadOptions::default()).await.unwrap_err(), name);
            let mut writer = store.writer(&cx, &key, WriteOptions::new(cx.job().clone())).await.unwrap();
            writer.write(Bytes::from_static(b"x")).await.unwrap();
            assert_eq!(writer.finish().await.unwrap_err().code().name, "fs.symlink");
            let report = store.delete(&cx, std::slice::from_ref(&key)).await.unwrap();
            refused(&report.failed[0].1, name);
        }
        let listed = store.list_all(&context(), &KeyPrefix::new("out").unwrap()).await;
        refused(&listed.unwrap_err(), "out");
        assert_eq!(list(&store, "").await, Vec::<String>::new());
    }
    let left: Vec<_> = std::fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["k"], "nothing came or went outside the root");
}

#[tokio::test]
async fn a_link_instead_of_an_object_is_refused_by_every_call() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = outside.path().join("file");
    std::fs::write(&target, "secret").unwrap();
    symlink(&target, dir.path().join("k")).unwrap();
    symlink(outside.path().join("missing"), dir.path().join("dangling")).unwrap();
    for store in stores(dir.path()) {
        for name in ["k", "dangling"] {
            refused(&put(&store, name, b"x").await.unwrap_err(), name);
            let replacing = store.put(&context(), &key(name), Bytes::from_static(b"x"), PutOptions::default()).await;
            refused(&replacing.unwrap_err(), name);
            refused(&store.head(&context(), &key(name)).await.unwrap_err(), name);
            refused(&get(&store, name).await.unwrap_err(), name);
            refused(&store.delete(&context(), &[key(name)]).await.unwrap().failed[0].1, name);
        }
    }
    assert_eq!(std::fs::read(&target).unwrap(), b"secret");
    assert!(!outside.path().join("missing").exists());
}

#[tokio::test]
async fn a_link_instead_of_the_temporary_directory_is_refused() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(dir.path().join(".backup")).unwrap();
    symlink(outside.path(), dir.path().join(".backup/tmp")).unwrap();
    refused(&FsStore::open(FsConfig::new(dir.path())).unwrap_err(), ".backup/tmp");
    for store in stores(dir.path()) {
        refused(&put(&store, "k", b"x").await.unwrap_err(), ".backup/tmp");
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_root_reached_through_a_link_is_the_operators_choice() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("disk")).unwrap();
    symlink("disk", dir.path().join("root")).unwrap();
    let store = FsStore::open(FsConfig::new(dir.path().join("root"))).unwrap();
    put(&store, "a/k", b"x").await.unwrap();
    assert!(dir.path().join("disk/a/k").exists());
}
