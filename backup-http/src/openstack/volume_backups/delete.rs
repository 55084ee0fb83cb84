//! Removing a volume backup: the chain newest first, the base at Cinder, then the record.

use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::repository::DeleteOptions;
use backup_core::service::{SubmitOptions, Target};
use backup_core::{BackupId, Error, ErrorKind, Result, Retry, SetName};

use super::moving::check_still;
use crate::openstack::errors::Failure;
use crate::openstack::record::{Status, VolumeBackup};
use crate::openstack::{Inner, Leave, PATIENCE, Principal, locks, why};

/// The pause after a removal that failed and may succeed later; it doubles up to the longest.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The live work of a removal.
pub(in crate::openstack) fn removal_id(backup: &str) -> String {
    format!("removal/{backup}")
}

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
        // Claimed before it can be seen.
        let (leave, _) = self.claim(&removal_id(&record.id));
        let owner = self.owner.name().to_owned();
        let mut first = false;
        let amended = self.amend::<VolumeBackup>(&record.project_id, &record.id, |record| {
            check_still(record)?;
            first = record.status != Status::Deleting;
            (record.status, record.owner) = (Status::Deleting, Some(owner.clone()));
            Ok(())
        });
        let amended = amended.await?;
        drop(lock);
        match amended {
            Some(record) if first => {
                tracing::info!(backup = record.id, "the removal of a volume backup was taken on");
                self.begin_removal(leave, record, ended.clone());
            }
            _ => ended.cancel(),
        }
        Ok(ended)
    }

    /// Goes on removing in the background; what works on the backup is asked to end.
    pub(in crate::openstack) fn begin_removal(self: &Arc<Self>, leave: Leave, record: VolumeBackup, ended: Removed) {
        self.cancel(&record.id);
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
                // Whoever starts next goes on.
                Err(_) if self.stopping.is_cancelled() => return,
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
            let reason = format!("it is not deleted yet: {}", why(&error));
            self.amend_surely::<VolumeBackup>(project, id, |record| record.fail_reason = Some(reason.clone())).await;
            self.pause(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Under the lock of the volume, which whatever made a point has given back.
    async fn try_removal(&self, project: &str, id: &str) -> Result<()> {
        let Some(record) = self.get::<VolumeBackup>(project, id).await? else { return Ok(()) };
        let busy = || Error::new(&codes::LEASE_BUSY, format!("volume {} is busy", record.volume_id));
        let name = locks::volume(&record.volume_id);
        let _lock = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return Err(Error::new(&codes::JOB_CANCELLED, "the server is being stopped")),
            locked = self.locks.lock(&name, PATIENCE) => locked?.ok_or_else(busy)?,
        };
        // A chain that lost a link is not one that its base belongs to: whatever comes of the rest, nothing builds on it any more.
        self.note_removal(project, id, |record| {
            if record.incremental && record.source_zone.is_none() && !record.snapshot_id.is_empty() {
                record.old_bases.push(std::mem::take(&mut record.snapshot_id));
            }
        })
        .await?;
        let Some(record) = self.get::<VolumeBackup>(project, id).await? else { return Ok(()) };
        if let Some(pending) = &record.pending {
            // What was cancelled may have been published all the same. It builds on the last link.
            self.given_up(&record).await?;
            if let Some(info) = self.published(&record, &pending.link).await? {
                self.remove_link(&record.set, &info.id).await?;
            }
            self.note_removal(project, id, |record| record.pending = None).await?;
        }
        // Each is noted: when one cannot be removed, the record says what is left.
        for link in record.links.iter().rev().chain(record.old_links.iter().rev()) {
            self.remove_link(&record.set, link).await?;
            self.note_removal(project, id, |record| {
                record.links.retain(|other| other != link);
                record.old_links.retain(|other| other != link);
            })
            .await?;
        }
        let by = Principal::Project(project.to_owned());
        for base in &record.old_bases {
            let cx = self.changing();
            cx.run(self.cloud.delete_snapshot(&cx, &by, base)).await?;
            self.note_removal(project, id, |record| record.old_bases.retain(|other| other != base)).await?;
        }
        self.forget(&record).await?;
        self.disorder.notify_one();
        tracing::info!(backup = id, project, "a volume backup was removed");
        Ok(())
    }

    async fn note_removal(&self, project: &str, id: &str, note: impl FnMut(&mut VolumeBackup) + Send) -> Result<()> {
        match self.amend_surely::<VolumeBackup>(project, id, note).await {
            true => Ok(()),
            false => Err(Error::new(&codes::LEASE_BUSY, "what was removed could not be noted yet")),
        }
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
