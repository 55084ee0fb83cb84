//! Tests of the file store on real file systems; `watched` records the system calls and makes chosen ones fail.

mod faults;
mod limits;
mod listing;
mod mounts;
mod order;
mod races;
mod reading;
mod sweeping;
mod symlinks;
mod watched;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backup_core::event::TracingObserver;
use backup_core::store::{PutOptions, StoreExt, WriteOptions};
use backup_core::{Bytes, Environment, JobContext, KeyPrefix, ObjectKey, Result, Store};

use super::{FsConfig, FsStore};

fn context() -> JobContext {
    JobContext::new(Environment::default(), Arc::new(TracingObserver))
}

fn key(key: &str) -> ObjectKey {
    ObjectKey::new(key).unwrap()
}

/// A store in a new directory, which goes away with the first value.
fn new_store() -> (tempfile::TempDir, FsStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = FsStore::open(FsConfig::new(dir.path())).unwrap();
    (dir, store)
}

async fn put(store: &FsStore, name: &str, body: &[u8]) -> Result<()> {
    store.put(&context(), &key(name), Bytes::copy_from_slice(body), PutOptions::if_absent()).await.map(drop)
}

async fn write(store: &FsStore, cx: &JobContext, name: &str, pieces: &[Bytes]) -> Result<()> {
    let mut writer = store.writer(cx, &key(name), WriteOptions::new(cx.job().clone())).await?;
    for piece in pieces {
        if let Err(error) = writer.write(piece.clone()).await {
            // The abort has its own test; here the write's error counts.
            let _ = writer.abort().await;
            return Err(error);
        }
    }
    writer.finish().await.map(drop)
}

async fn get(store: &FsStore, name: &str) -> Result<Bytes> {
    store.get(&context(), &key(name), 1 << 30).await
}

async fn list(store: &FsStore, prefix: &str) -> Vec<String> {
    let listed = store.list_all(&context(), &KeyPrefix::new(prefix).unwrap()).await.unwrap();
    listed.into_iter().map(|meta| meta.key.to_string()).collect()
}

/// The files in `.backup/tmp`.
fn unfinished(root: &Path) -> Vec<PathBuf> {
    let Ok(dir) = std::fs::read_dir(root.join(".backup/tmp")) else { return Vec::new() };
    dir.map(|entry| entry.unwrap().path()).collect()
}
