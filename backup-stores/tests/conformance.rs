//! Every promise of the `Store` contract, on the real file system.
#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "the factory stands outside of the test functions")]

use std::sync::{Arc, Mutex};

use backup_core::testkit::store_suite::{self, StoreFactory};
use backup_core::{Store, async_trait};
use backup_stores::fs::{FsConfig, FsStore};
use tempfile::TempDir;

#[derive(Default)]
struct Directories(Mutex<Option<TempDir>>);

impl Directories {
    fn open(&self) -> Arc<dyn Store> {
        let newest = self.0.lock().unwrap();
        Arc::new(FsStore::open(FsConfig::new(newest.as_ref().unwrap().path())).unwrap())
    }
}

#[async_trait]
impl StoreFactory for Directories {
    async fn fresh(&self) -> Arc<dyn Store> {
        *self.0.lock().unwrap() = Some(TempDir::new().unwrap());
        self.open()
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(self.open())
    }

    async fn unfinished(&self) -> Option<usize> {
        let newest = self.0.lock().unwrap();
        let temporary = newest.as_ref().unwrap().path().join(".backup/tmp");
        Some(std::fs::read_dir(temporary).map_or(0, Iterator::count))
    }

    fn objects_below_objects(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_store_keeps_every_promise() {
    store_suite::run(&Directories::default()).await;
}
