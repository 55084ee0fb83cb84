//! Every promise of the `Store` contract, on a real Swift with a real Keystone.
#![cfg(feature = "swift")]
#![allow(clippy::unwrap_used, reason = "the factory stands outside of the test functions")]

#[path = "support/openstack.rs"]
mod openstack;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backup_core::testkit::store_suite::{self, StoreFactory};
use backup_core::{Store, async_trait};
use openstack::OpenStack;

/// Each store has a prefix of its own in one container.
struct Prefixes {
    openstack: OpenStack,
    container: String,
    segment_size: Option<u64>,
    newest: AtomicUsize,
}

impl Prefixes {
    fn prefix(&self) -> String {
        format!("stores/{}", self.newest.load(Ordering::Relaxed))
    }

    async fn open(&self) -> Arc<dyn Store> {
        let config = self.openstack.config(&self.container).prefix(self.prefix()).segment_size(self.segment_size);
        Arc::new(self.openstack.store(&config).await)
    }
}

#[async_trait]
impl StoreFactory for Prefixes {
    async fn fresh(&self) -> Arc<dyn Store> {
        self.newest.fetch_add(1, Ordering::Relaxed);
        self.open().await
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        Some(self.open().await)
    }

    async fn unfinished(&self) -> Option<usize> {
        // Of what the suite writes nothing is bigger than a segment of the usual size, so nothing of it ever lies there.
        self.segment_size?;
        let records = format!("{}/.backup/tmp/open/", self.prefix());
        Some(self.openstack.names(&format!("{}_segments", self.container), &records).await.len())
    }
}

async fn run(segment_size: Option<u64>) {
    let Some(openstack) = OpenStack::wanted().await else { return };
    let container = openstack.container("conformance");
    store_suite::run(&Prefixes { openstack, container, segment_size, newest: AtomicUsize::new(0) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_swift_store_keeps_every_promise() {
    run(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_swift_store_keeps_every_promise_with_large_objects() {
    run(Some(2 << 20)).await;
}
