//! Removing a volume backup: the chain newest first, the base at Cinder, then the record.

use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::repository::DeleteOptions;
use backup_core::service::{SubmitOptions, Target};
use backup_core::{BackupId, Error, ErrorKind, Result, Retry, SetName};

use crate::openstack::errors::Failure;
use crate::openstack::record::{Status, VolumeBackup};
use crate::openstack::{Inner, PATIENCE, Principal, locks, why};

/// The pause after a removal that failed and may succeed later; it doubles up to the longest.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A removal that was begun.
pub(in crate::openstack) type Removed = tokio_util::sync::CancellationToken;

impl Inner {
    /// Begins the removal of a backup; one that is being removed stays so. The token is cancelled when the removal has ended.
    ///
    /// # Errors
    /// 409 while something else needs it; those of the state.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn delete_volume_backup(self: &Arc<Self>, record: &VolumeBackup) -> Result<Removed, Failure> {
        let ended = Removed::new();
        if record.status == Status::Deleting {
            ended.cancel();
            return Ok(ended);
        }
        self.check_unneeded(record).await?;
        // A restore begins under this lock, too.
        let lock = self.lock_project(&record.project_id).await?;
        if self.is_being_restored(&record.id).await.map_err(|error| Failure::internal(&error))? {
            return Err(Failure::conflict(format!("Volume backup {} is being restored!", record.id)));
        }
        let owner = self.owner.name().to_owned();
        let mut first = false;
        let amended = self.amend::<VolumeBackup>(&record.project_id, &record.id, |record| {
            first = record.status != Status::Deleting;
            (record.status, record.owner) = (Status::Deleting, Some(owner.clone()));
            Ok(())
        });
        let amended = amended.await?;
        drop(lock);
        match amended {
            Some(record) if first => {
                tracing::info!(backup = record.id, "the removal of a volume backup was taken on");
                self.begin_removal(record, ended.clone());
            }
            _ => ended.cancel(),
        }
        Ok(ended)
    }

    /// Goes on removing in the background; what works on the backup is asked to end.
    pub(in crate::openstack) fn begin_removal(self: &Arc<Self>, record: VolumeBackup, ended: Removed) {
        self.cancel(&record.id);
        let (leave, _) = self.claim(&format!("removal/{}", record.id));
        let this = Arc::clone(self);
        let end = ended.drop_guard();
        self.spawn(leave, async move {
            this.remove_volume_backup(&record.project_id, &record.id).await;
            drop(end);
        });
    }

    async fn remove_volume_backup(&self, project: &str, id: &str) {
        let mut pause = PAUSE;
        while !self.stopping.is_cancelled() {
            let error = match self.try_removal(project, id).await {
                Ok(()) => return,
                Err(error) => error,
            };
            if error.retry() == Retry::Never && error.kind() != ErrorKind::PermissionDenied {
                tracing::error!(backup = id, %error, "a volume backup cannot be removed");
                let reason = format!("it could not be deleted: {}", why(&error));
                self.amend_surely::<VolumeBackup>(project, id, |record| {
                    (record.status, record.owner) = (Status::Error, None);
                    record.fail_reason = Some(reason.clone());
                })
                .await;
                return;
            }
            tracing::warn!(backup = id, %error, "a volume backup is not removed yet; it is tried again");
            self.pause(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Under the lock of the volume, which whatever made a point has given back.
    async fn try_removal(&self, project: &str, id: &str) -> Result<()> {
        let Some(record) = self.get::<VolumeBackup>(project, id).await? else { return Ok(()) };
        let busy = || Error::new(&codes::LEASE_BUSY, format!("volume {} is busy", record.volume_id));
        let _lock = self.locks.lock(&locks::volume(&record.volume_id), PATIENCE).await?.ok_or_else(busy)?;
        let Some(mut record) = self.get::<VolumeBackup>(project, id).await? else { return Ok(()) };
        if let Some(pending) = &record.pending {
            // What was cancelled may have been published all the same.
            if let Some(info) = self.published(&record, &pending.link).await? {
                record.old_links.push(info.id.clone());
            }
        }
        for link in record.links.iter().rev().chain(record.old_links.iter().rev()) {
            self.remove_link(&record.set, link).await?;
        }
        let by = Principal::Project(project.to_owned());
        let bases = record.old_bases.iter().chain([&record.snapshot_id].into_iter().filter(|_| record.incremental));
        for base in bases.filter(|base| !base.is_empty()) {
            let cx = self.changing();
            cx.run(self.cloud.delete_snapshot(&cx, &by, base)).await?;
        }
        self.forget(&record).await?;
        self.disorder.notify_one();
        tracing::info!(backup = id, project, "a volume backup was removed");
        Ok(())
    }

    /// Removes a link; one that is not there is removed.
    pub(super) async fn remove_link(&self, set: &SetName, link: &BackupId) -> Result<()> {
        let target = Target::without_source(self.repository.clone(), set.clone());
        let options = SubmitOptions::default();
        match self.service.delete_with(&target, link, DeleteOptions::default().even_newest(), options).await?.wait().await {
            Err(error) if *error.code() == codes::BACKUP_NOT_FOUND => Ok(()),
            ended => ended,
        }
    }

    /// # Errors
    /// 409 with the backups that build on one of these links, and are none of them. A store that does not answer is asked again when they
    /// are removed.
    async fn check_unneeded(&self, record: &VolumeBackup) -> Result<(), Failure> {
        let cx = self.looking();
        let Ok(backups) = cx.run(self.repository.list(&cx, &record.set)).await else { return Ok(()) };
        let is_ours = |id: &BackupId| record.links.contains(id) || record.old_links.contains(id);
        let needs = |parent: &BackupId| is_ours(parent);
        let pending = record.pending.is_some();
        let needing = backups.iter().filter(|info| !is_ours(&info.id) && info.parents.iter().any(needs) && !pending);
        let needing: Vec<String> = needing.map(|info| info.id.to_string()).collect();
        match needing.is_empty() {
            true => Ok(()),
            false => Err(Failure::conflict(format!("Volume backup {} is needed by {}!", record.id, needing.join(", ")))),
        }
    }
}
