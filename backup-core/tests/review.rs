//! What an adversary tried: races, lost errors, records of other versions, keys that lie, clocks that jump.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_core::naming::{NameRequest, Naming};
use backup_core::repository::BackupOutcome;
use backup_core::testkit::{Fault, FaultPlan, FaultRule, OpKind};
use backup_core::{Compression, ObjectKey, Repository, Result, Revision};
use support::{Data, GRACE, TTL, World, bytes};

/// Every artifact outside of the backup's own prefix.
#[derive(Debug)]
struct Outside;

impl Naming for Outside {
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey> {
        ObjectKey::new(format!("files/{}.{}", request.artifact, request.attempt))
    }
}

fn outside(seed: u64) -> World {
    let world = World::new(seed);
    let repository = Repository::builder(Arc::new(world.store.clone()))
        .environment(world.cx().environment().clone())
        .intent_ttl(TTL)
        .grace(GRACE)
        .naming(Arc::new(Outside))
        .build();
    World { repository, ..world }
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("hangs")
}

#[tokio::test]
async fn a_backup_that_fails_its_last_look_leaves_nothing_under_shared_names() {
    let world = outside(1);
    // The first head finds the name free, the second is the last look before publishing.
    let rule = FaultRule::new(Fault::ErrorBefore(&backup_core::error::codes::STORE_IO));
    world.store.set_faults(FaultPlan::seeded(1).rule(rule.on([OpKind::Head]).key(|key| key.starts_with("files/")).nth(2)));
    let data = Data::new(&[("a", bytes(1000, 1))]);
    world.repository.backup(&world.cx(), &data, &world.request()).await.unwrap_err();
    world.store.verify_all_faults_exercised();
    assert_eq!(world.store.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn big_chunks_in_flight_do_not_keep_the_encoder_from_its_start() {
    let world = World::new(2);
    let data = Data { in_one_write: true, ..Data::new(&[("a", bytes(25 << 20, 1))]) };
    let request = world.request().compression(Compression::Zstd, Some(1));
    within(world.repository.backup(&world.cx(), &data, &request)).await.unwrap();
}
