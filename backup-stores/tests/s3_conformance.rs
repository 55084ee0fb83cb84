//! The conformance suite on a real S3 server.

#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers stand outside of the test functions")]

#[path = "support/ministack.rs"]
mod ministack;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use backup_core::event::TracingObserver;
use backup_core::testkit::store_suite::{self, StoreFactory};
use backup_core::{Environment, JobContext, Store, async_trait};
use backup_stores::StoreConfig;
use ministack::Ministack;
use serde_json::json;

struct Factory {
    server: Ministack,
    bucket: String,
    lock: bool,
    next: AtomicU64,
    prefix: Mutex<String>,
}

impl Factory {
    async fn open(&self, prefix: &str) -> Arc<dyn Store> {
        let mut block = self.server.block(&self.bucket, prefix);
        // The smallest parts, so that the suite's objects have some.
        block["part-size"] = json!(5 << 20);
        if self.lock {
            block["object-lock"] = json!("governance");
        }
        let config: StoreConfig = serde_json::from_value(json!({ "s3": block })).unwrap();
        let cx = JobContext::new(Environment::default(), Arc::new(TracingObserver));
        config.open(&cx).await.unwrap()
    }
}

#[async_trait]
impl StoreFactory for Factory {
    async fn fresh(&self) -> Arc<dyn Store> {
        let prefix = format!("suite {}/é+", self.next.fetch_add(1, Ordering::Relaxed));
        *self.prefix.lock().unwrap() = prefix.clone();
        self.open(&prefix).await
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        let prefix = self.prefix.lock().unwrap().clone();
        Some(self.open(&prefix).await)
    }

    async fn unfinished(&self) -> Option<usize> {
        let prefix = self.prefix.lock().unwrap().clone();
        let notes = self.server.names(&self.bucket, &format!("{prefix}/.backup/tmp/")).len();
        Some(notes.max(self.server.uploads(&self.bucket, &prefix)))
    }
}

async fn suite(lock: bool) {
    // One for each: it uses one processor.
    let Some(server) = Ministack::start() else { return };
    let bucket = server.bucket(lock);
    store_suite::run(&Factory { server, bucket, lock, next: AtomicU64::new(0), prefix: Mutex::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_keeps_the_contract_of_a_store() {
    suite(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_with_object_lock_keeps_the_contract_of_a_store() {
    suite(true).await;
}
