//! How many full backups of a plan stay.

use std::sync::Arc;

use crate::openstack::Inner;
use crate::openstack::record::{Status, VolumeBackup};

impl Inner {
    /// Removes what is beyond the retention of a full backup that is whole: of the same plan and volume, the newest stay. One that failed
    /// takes no place among those, and goes with what is older than them.
    pub(in crate::openstack) async fn retain_volume_backups(self: &Arc<Self>, project: &str, id: &str) {
        let Ok(all) = self.all::<VolumeBackup>(Some(project)).await else { return };
        let Some(new) = all.iter().find(|record| record.id == id) else { return };
        let Ok(keep @ 1..) = usize::try_from(new.retention) else { return };
        if new.incremental || new.status != Status::Active || new.instance_backup.is_some() {
            return;
        }
        let same = |record: &&VolumeBackup| {
            let one_of_many = !record.incremental && record.instance_backup.is_none() && record.source_zone.is_none();
            one_of_many && record.plan_id == new.plan_id && record.volume_id == new.volume_id
        };
        let mut kept = 0;
        for record in all.iter().filter(same) {
            let old = match record.status {
                Status::Active if kept < keep => {
                    kept += 1;
                    false
                }
                Status::Active | Status::Error => kept >= keep,
                _ => false,
            };
            if !old {
                continue;
            }
            tracing::info!(backup = record.id, plan = record.plan_id, "a volume backup is beyond the retention of its plan");
            if let Err(failure) = self.delete_volume_backup(record).await {
                tracing::warn!(backup = record.id, "retention leaves a volume backup: {}", failure.message());
            }
        }
    }
}
