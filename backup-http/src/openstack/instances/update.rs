//! Moving all members of an incremental instance backup on.

use std::sync::Arc;

use super::backup::Moving;
use crate::openstack::errors::Failure;
use crate::openstack::record::{InstanceBackup, Kept, Status, VolumeBackup};
use crate::openstack::volume_backups::{Work, check_updatable};
use crate::openstack::{Caller, Inner, Principal};

impl Inner {
    /// Takes an update on.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn update_instance_backup(
        self: &Arc<Self>,
        caller: Arc<Caller>,
        id: &str,
    ) -> Result<(), Failure> {
        let record = self.visible::<InstanceBackup>(&caller, id).await?;
        check(&record)?;
        let project = record.project_id.clone();
        let lock = self.lock_project(&project).await?;
        let mut members = Vec::new();
        for member in &record.members {
            let backup = self.get::<VolumeBackup>(&project, &member.id).await.map_err(|error| Failure::internal(&error))?;
            let gone = || Failure::conflict(format!("Volume backup {} is not found!", member.id));
            let backup = backup.ok_or_else(gone)?;
            check_updatable(&backup)?;
            members.push(backup);
        }
        let (leave, _) = self.claim(&record.id);
        let (owner, mut before) = (self.owner.name().to_owned(), record.status);
        let amended = self.amend::<InstanceBackup>(&project, &record.id, |record| {
            check(record)?;
            before = record.status;
            (record.status, record.owner) = (Status::Updating, Some(owner.clone()));
            Ok(())
        });
        let gone = || Failure::not_found(format!("Instance backup {} is not found!", record.id));
        let record = amended.await?.ok_or_else(gone)?;
        let by = Principal::Caller(Arc::clone(&caller));
        let mut moving: Vec<Moving> = Vec::new();
        for member in &members {
            match self.claim_for_update(member).await {
                Ok((leave, cancel)) => {
                    let work = Work { by: by.clone(), project: project.clone(), id: member.id.clone(), cancel, snapshot: None };
                    moving.push(Moving { _leave: leave, work });
                }
                Err(failure) => {
                    // Zipped: those before this one.
                    for (moving, member) in moving.iter().zip(&members) {
                        self.put_back::<VolumeBackup>(&project, &moving.work.id, |record| {
                            (record.status, record.pending, record.owner) = (member.status, None, None);
                        })
                        .await;
                    }
                    self.put_back::<InstanceBackup>(&project, &record.id, |record| {
                        (record.status, record.owner) = (before, None);
                    })
                    .await;
                    return Err(failure);
                }
            }
        }
        drop(lock);
        tracing::info!(backup = record.id, user = caller.user, "an update of an instance backup was taken on");
        let this = Arc::clone(self);
        self.spawn(leave, async move { this.run_instance_backup(by, record, moving).await });
        Ok(())
    }

    /// Nothing was done to it: it is what it was before. One that is being removed by now stays so.
    async fn put_back<R: Kept>(&self, project: &str, id: &str, mut back: impl FnMut(&mut R) + Send) {
        let put = self.amend_surely::<R>(project, id, |record| {
            if record.status() == Status::Updating {
                back(record);
            }
        });
        if !put.await {
            self.disorder.notify_one();
        }
    }
}

/// # Errors
/// 400 for what cannot be updated at all, 409 for what cannot now.
fn check(record: &InstanceBackup) -> Result<(), Failure> {
    if record.source_zone.is_some() {
        return Err(Failure::bad("Can not update copied backup!"));
    }
    if !record.incremental {
        return Err(Failure::bad("Backup is not incremental!"));
    }
    match record.status {
        Status::Active | Status::Error => Ok(()),
        status => Err(Failure::conflict(format!("Instance backup {} is {}!", record.id, status.as_str()))),
    }
}
