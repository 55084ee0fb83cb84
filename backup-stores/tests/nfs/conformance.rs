//! Every promise of the `Store` contract, on a real NFS server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backup_core::testkit::store_suite::{self, StoreFactory};
use backup_core::testkit::test_context;
use backup_core::{Environment, Store, async_trait};
use backup_stores::OpenOptions;
use backup_stores::nfs::NfsStore;

use crate::ganesha::{Ganesha, wanted};

struct Directories {
    server: Ganesha,
    newest: AtomicUsize,
}

impl Directories {
    fn root(&self) -> String {
        format!("stores/{}", self.newest.load(Ordering::Relaxed))
    }

    async fn open(&self) -> Arc<dyn Store> {
        let cx = test_context(&Environment::default());
        Arc::new(NfsStore::open(&cx, &self.server.config(&self.root()), &OpenOptions::default()).await.unwrap())
    }
}

#[async_trait]
impl StoreFactory for Directories {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.newest.fetch_add(1, Ordering::Relaxed);
        self.open().await
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(self.open().await)
    }

    async fn unfinished(&self) -> Option<usize> {
        let temporary = self.server.export().join(self.root()).join(".backup/tmp");
        Some(std::fs::read_dir(temporary).map_or(0, Iterator::count))
    }

    fn objects_below_objects(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_nfs_store_keeps_every_promise() {
    if !wanted() {
        return;
    }
    store_suite::run(&Directories { server: Ganesha::start(), newest: AtomicUsize::new(0) }).await;
}
