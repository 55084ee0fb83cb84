//! Moving an incremental backup on to the present of its volume.

use std::sync::Arc;

use super::Work;
use crate::openstack::errors::Failure;
use crate::openstack::record::{Pending, Status, VolumeBackup};
use crate::openstack::{Caller, Inner, Principal};

impl Inner {
    /// Takes an update on.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn update_volume_backup(
        self: &Arc<Self>,
        caller: Arc<Caller>,
        id: &str,
    ) -> Result<(), Failure> {
        let record = self.visible::<VolumeBackup>(&caller, id).await?;
        let project = record.project_id.clone();
        let _lock = self.lock_project(&project).await?;
        let (leave, cancel) = self.claim_for_update(&record).await?;
        tracing::info!(backup = record.id, user = caller.user, "an update of a volume backup was taken on");
        let work = Work { by: Principal::Caller(caller), project, id: record.id, cancel, snapshot: None };
        let this = Arc::clone(self);
        self.spawn(leave, async move { this.run_point(work).await });
        Ok(())
    }

    /// Under the project's lock: makes a backup one that is being updated, by us.
    pub(in crate::openstack) async fn claim_for_update(
        self: &Arc<Self>,
        record: &VolumeBackup,
    ) -> Result<(crate::openstack::Leave, tokio_util::sync::CancellationToken), Failure> {
        check_updatable(record)?;
        if record.instance_backup.is_none() {
            self.check_only_incremental(&record.project_id, &record.volume_id, Some(&record.id)).await?;
        }
        // Claimed before it can be seen, and not by a second one beside the first.
        let claim = self.claim(&record.id);
        let (owner, pending) = (self.owner.name().to_owned(), Pending::new(self.new_id()));
        let claimed = self.amend::<VolumeBackup>(&record.project_id, &record.id, |record| {
            check_updatable(record)?;
            record.status = Status::Updating;
            (record.owner, record.pending) = (Some(owner.clone()), Some(pending.clone()));
            Ok(())
        });
        match claimed.await? {
            Some(_) => Ok(claim),
            None => Err(Failure::not_found(format!("Volume backup {} is not found!", record.id))),
        }
    }
}

/// # Errors
/// 400 for what cannot be updated at all, 409 for what cannot now.
pub(in crate::openstack) fn check_updatable(record: &VolumeBackup) -> Result<(), Failure> {
    if record.source_zone.is_some() {
        return Err(Failure::bad("Can not update copied backup!"));
    }
    if !record.incremental {
        return Err(Failure::bad("Backup is not incremental!"));
    }
    if !record.is_whole() {
        return Err(Failure::bad("Last snapshot does not exist!"));
    }
    match record.status {
        Status::Active | Status::Error => Ok(()),
        status => Err(Failure::conflict(format!("Volume backup {} is {}!", record.id, status.as_str()))),
    }
}
