//! The service: jobs queue, run, end, are kept, and none is forgotten.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_debug_implementations,
    unreachable_pub
)]

mod gated;
mod health;
mod limits;
mod records;
mod scheduled;
mod stop;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use backup_core::service::{BackupService, Limits, Target};
use backup_core::testkit::MemoryState;
use backup_core::{Environment, Repository, SetName};

use crate::gated::Gated;
use crate::support::World;

/// A service over the sets of a world; each has a source that the test holds at a gate.
pub struct Serving {
    pub world: World,
    pub state: MemoryState,
    pub service: BackupService,
}

impl Serving {
    pub async fn start(limits: Limits) -> Self {
        let world = World::new(1);
        let state = MemoryState::new();
        let service = service(&world, &state, limits).await;
        Self { world, state, service }
    }

    /// The service of the next process, on the same store and state.
    pub async fn restart(&self, limits: Limits) -> Self {
        let world = self.world.after_crash(2);
        let state = self.state.restart();
        let service = service(&world, &state, limits).await;
        Self { world, state, service }
    }

    pub fn target(&self, set: &str, source: &Gated) -> Target {
        target(&self.world.repository, set, source)
    }
}

pub fn target(repository: &Repository, set: &str, source: &Gated) -> Target {
    let request = backup_core::BackupRequest::new(SetName::new(set).unwrap()).skip_unchanged(None);
    Target::new(repository.clone(), Arc::new(source.clone()), request)
}

async fn service(world: &World, state: &MemoryState, limits: Limits) -> BackupService {
    let environment = Environment::new(world.clock.clone(), world.cx().environment().random.clone());
    BackupService::builder(Arc::new(state.clone())).environment(environment).limits(limits).start().await.unwrap()
}

/// Lets every task of a single-threaded runtime go on until all wait.
pub async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

pub const LONG: Duration = Duration::from_secs(24 * 3600);
