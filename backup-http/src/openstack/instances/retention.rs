//! How many instance backups and snapshots of a plan stay.

use std::sync::Arc;

use crate::openstack::Inner;
use crate::openstack::record::{InstanceBackup, InstanceSnapshot, Kept, Status};

/// What is beyond the newest `keep` that are whole. One that failed takes no place among those, and goes with what is older than them.
fn beyond<R: Kept>(newest_first: Vec<R>, keep: usize) -> Vec<R> {
    let mut kept = 0;
    let mut old = Vec::new();
    for record in newest_first {
        match record.status() {
            Status::Active if kept < keep => kept += 1,
            Status::Active | Status::Error if kept >= keep => old.push(record),
            _ => {}
        }
    }
    old
}

impl Inner {
    pub(in crate::openstack) async fn retain_instance_snapshots(self: &Arc<Self>, project: &str, id: &str) {
        let Ok(mut all) = self.all::<InstanceSnapshot>(Some(project)).await else { return };
        let Some(new) = all.iter().find(|record| record.id == id && record.status == Status::Active).cloned() else { return };
        let Ok(keep @ 1..) = usize::try_from(new.retention) else { return };
        all.retain(|record| record.plan_id == new.plan_id && record.instance_id == new.instance_id);
        for old in beyond(all, keep) {
            tracing::info!(snapshot = old.id, plan = old.plan_id, "an instance snapshot is beyond the retention of its plan");
            if let Err(failure) = self.delete_instance_snapshot(&old).await {
                tracing::warn!(snapshot = old.id, "retention leaves an instance snapshot: {}", failure.message());
            }
        }
    }

    pub(in crate::openstack) async fn retain_instance_backups(self: &Arc<Self>, project: &str, id: &str) {
        let Ok(mut all) = self.all::<InstanceBackup>(Some(project)).await else { return };
        let Some(new) = all.iter().find(|record| record.id == id && record.status == Status::Active).cloned() else { return };
        let Ok(keep @ 1..) = usize::try_from(new.retention) else { return };
        if new.incremental {
            return;
        }
        all.retain(|record| {
            let same = record.plan_id == new.plan_id && record.instance_id == new.instance_id;
            same && !record.incremental && record.source_zone.is_none()
        });
        for old in beyond(all, keep) {
            tracing::info!(backup = old.id, plan = old.plan_id, "an instance backup is beyond the retention of its plan");
            if let Err(failure) = self.delete_instance_backup(&old).await {
                tracing::warn!(backup = old.id, "retention leaves an instance backup: {}", failure.message());
            }
        }
    }
}
