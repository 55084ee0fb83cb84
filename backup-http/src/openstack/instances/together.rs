//! What is done to all volumes of an instance together.

use backup_core::error::codes;
use backup_core::{Error, Result};
use futures::future::join_all;

use crate::openstack::locks::{self, Lock};
use crate::openstack::record::Member;
use crate::openstack::{CHANGE, Inner, PATIENCE, Principal, Snapshot, SnapshotOrder};

impl Inner {
    /// Locks an instance and volumes, always in the same order, so that two never wait for each other.
    pub(super) async fn lock_together(&self, instance: &str, volumes: &[String]) -> Result<Vec<Lock>> {
        let mut names: Vec<String> = volumes.iter().map(|volume| locks::volume(volume)).collect();
        names.sort_unstable();
        names.dedup();
        names.insert(0, locks::instance(instance));
        let mut held = Vec::new();
        for name in names {
            let busy = || Error::new(&codes::LEASE_BUSY, format!("{name} was busy for too long"));
            let lock = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return Err(Error::new(&codes::JOB_CANCELLED, "the server is being stopped")),
                lock = self.locks.lock(&name, PATIENCE) => lock?.ok_or_else(busy)?,
            };
            held.push(lock);
        }
        Ok(held)
    }

    /// Asks for all snapshots at the same time. Also says how many milliseconds passed from the first request until all were answered.
    pub(super) async fn snapshot_together(&self, by: &Principal, orders: &[SnapshotOrder]) -> (Vec<Result<Snapshot>>, u64) {
        let clock = &self.environment.clock;
        let begin = clock.monotonic();
        // One that is given up is made all the same, perhaps.
        let cx = self.changing();
        let asked = join_all(orders.iter().map(|order| cx.run(self.cloud.create_snapshot(&cx, by, order)))).await;
        let span = clock.monotonic().saturating_sub(begin);
        (asked, u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    /// Waits until a snapshot can be read.
    pub(super) async fn await_snapshot(&self, by: &Principal, id: &str) -> Result<()> {
        let cx = self.repository.context().with_limit(CHANGE);
        cx.run(self.cloud.await_snapshot(&cx, by, id)).await
    }

    /// Removes snapshots that are not needed. One that stays is removed later.
    pub(super) async fn drop_snapshots(&self, project: &str, ids: &[String]) {
        let by = Principal::Project(project.to_owned());
        for id in ids {
            let cx = self.changing();
            if let Err(error) = cx.run(self.cloud.delete_snapshot(&cx, &by, id)).await {
                tracing::warn!(snapshot = id, %error, "a snapshot that is not needed stays for now");
                self.disorder.notify_one();
            }
        }
    }
}

/// The volumes of members.
pub(super) fn volumes(members: &[Member]) -> Vec<String> {
    members.iter().map(|member| member.volume_id.clone()).collect()
}
