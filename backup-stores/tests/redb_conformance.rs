//! Every promise of the `State` contract, on a real file.
#![cfg(feature = "redb")]
#![allow(clippy::unwrap_used, reason = "the factory stands outside of the test functions")]

use std::sync::{Arc, Mutex};

use backup_core::async_trait;
use backup_core::state::State;
use backup_core::testkit::state_suite::{self, StateFactory};
use backup_stores::redb::RedbState;
use tempfile::TempDir;

#[derive(Default)]
struct Files(Mutex<Option<TempDir>>);

#[async_trait]
impl StateFactory for Files {
    async fn fresh(&self) -> Arc<dyn State> {
        *self.0.lock().unwrap() = Some(TempDir::new().unwrap());
        self.reopen().await
    }

    async fn reopen(&self) -> Arc<dyn State> {
        let path = self.0.lock().unwrap().as_ref().unwrap().path().join("state.redb");
        Arc::new(RedbState::open(path).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_on_redb_keeps_every_promise() {
    state_suite::run(&Files::default()).await;
}
