//! A point of a volume backup, from its begin to its end in the record.

use std::sync::Arc;

use backup_core::error::{Effect, codes};
use backup_core::repository::BackupInfo;
use backup_core::{Error, Position, Result};

use super::Work;
use crate::openstack::record::{Status, VolumeBackup};
use crate::openstack::{Inner, PATIENCE, Principal, locks, why};

/// How often the end of work is tried to be kept, with a second in between. Then it is put in order later.
const KEEP_TRIES: u32 = 10;

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

impl Inner {
    /// Makes the pending point of a backup under the lock of its volume, whatever else happens.
    pub(in crate::openstack) async fn run_point(self: Arc<Self>, work: Work) {
        if let Err(error) = self.locked_point(&work).await {
            tracing::warn!(backup = work.id, %error, "a volume backup failed");
        }
    }

    async fn locked_point(self: &Arc<Self>, work: &Work) -> Result<()> {
        let Some(record) = self.get::<VolumeBackup>(&work.project, &work.id).await? else { return Ok(()) };
        let name = locks::volume(&record.volume_id);
        let locked = tokio::select! {
            biased;
            () = work.cancel.cancelled() => Err(Error::new(&codes::JOB_CANCELLED, "the backup was cancelled")),
            () = self.stopping.cancelled() => Err(Error::new(&codes::JOB_CANCELLED, "the server is being stopped")),
            locked = self.locks.lock(&name, PATIENCE) => locked,
        };
        let busy = || Error::new(&codes::LEASE_BUSY, format!("volume {} was busy for too long", record.volume_id));
        match locked.and_then(|lock| lock.ok_or_else(busy)) {
            Ok(lock) => {
                let made = self.make_point(work).await;
                drop(lock);
                if made.is_ok() {
                    self.retain::<VolumeBackup>(&work.project, &work.id).await;
                }
                made
            }
            Err(error) => {
                self.end_failed(&work.project, &work.id, &why(&error)).await;
                Err(error)
            }
        }
    }

    /// Makes the pending point of a backup. The volume is locked.
    pub(in crate::openstack) async fn make_point(&self, work: &Work) -> Result<()> {
        let made = match self.get::<VolumeBackup>(&work.project, &work.id).await {
            Ok(Some(record)) if record.status != Status::Deleting => self.link(work, &record).await,
            Ok(_) => Err(Error::new(&codes::JOB_CANCELLED, "the backup was deleted")),
            Err(error) => Err(error),
        };
        match made {
            Ok(info) => self.commit_point(&work.by, &work.project, &work.id, &info).await,
            Err(error) if error.effect() == Effect::None => {
                self.end_failed(&work.project, &work.id, &why(&error)).await;
                Err(error)
            }
            Err(error) => {
                // Whether it was published is looked for until the store says it.
                let reason = why(&error);
                self.amend_surely::<VolumeBackup>(&work.project, &work.id, |record| record.fail_reason = Some(reason.clone()))
                    .await;
                self.disorder.notify_one();
                Err(error)
            }
        }
    }

    /// Takes a published point into the record, removes what it takes the place of, and shows it then.
    pub(in crate::openstack) async fn commit_point(
        &self,
        by: &Principal,
        project: &str,
        id: &str,
        info: &BackupInfo,
    ) -> Result<()> {
        let Some(record) = self.get::<VolumeBackup>(project, id).await? else { return Ok(()) };
        let base = match record.incremental && self.cloud.keeps_bases() {
            true => self.base_of(by, info).await,
            false => None,
        };
        let stored = self.stored_size(&record, info).await;
        let now = self.now();
        let kept = self
            .amend_surely::<VolumeBackup>(project, id, |record| {
                if !record.links.contains(&info.id) {
                    if info.parents.is_empty() {
                        record.old_links.append(&mut record.links);
                    }
                    record.links.push(info.id.clone());
                }
                if let Some(pending) = record.pending.take() {
                    record.size = stored.or(pending.size).or(record.size);
                    record.property = if pending.bootable { "bootable=true".to_owned() } else { String::new() };
                }
                let base = base.clone().unwrap_or_default();
                if !record.snapshot_id.is_empty() && record.snapshot_id != base {
                    record.old_bases.push(std::mem::take(&mut record.snapshot_id));
                }
                record.snapshot_id = base;
                record.fail_reason = None;
            })
            .await;
        if !kept {
            self.disorder.notify_one();
            return Err(Error::new(&codes::INTERNAL, "a backup was made, and its record could not be kept yet"));
        }
        self.tidy(project, id).await;
        self.amend_surely::<VolumeBackup>(project, id, |record| {
            if record.status == Status::Updating {
                record.updated_at = Some(now);
            }
            // A removal has an owner of its own, who goes on.
            if record.status != Status::Deleting {
                (record.status, record.owner) = (Status::Active, None);
            }
        })
        .await;
        tracing::info!(backup = id, project, point = %info.id, "a volume backup is whole");
        Ok(())
    }

    /// The snapshot that stayed as the base of the next update, if there is one.
    async fn base_of(&self, by: &Principal, info: &BackupInfo) -> Option<String> {
        let Some(Position::Name(id)) = info.revision.as_ref().map(|revision| revision.position.clone()) else { return None };
        let cx = self.looking();
        match cx.run(self.cloud.snapshot(&cx, by, &id)).await {
            Ok(found) => found.map(|_| id),
            Err(error) => {
                tracing::warn!(snapshot = id, %error, "whether the base of an incremental backup stayed is not known; it is taken to be there");
                Some(id)
            }
        }
    }

    /// Removes bases and links that newer ones took the place of. What cannot be removed now is tried again later.
    pub(in crate::openstack) async fn tidy(&self, project: &str, id: &str) {
        let Ok(Some(record)) = self.get::<VolumeBackup>(project, id).await else { return };
        let by = Principal::Project(project.to_owned());
        for base in &record.old_bases {
            let cx = self.changing();
            if let Err(error) = cx.run(self.cloud.delete_snapshot(&cx, &by, base)).await {
                tracing::warn!(backup = id, snapshot = base, %error, "an earlier base snapshot stays for now");
                continue;
            }
            self.amend_surely::<VolumeBackup>(project, id, |record| record.old_bases.retain(|other| other != base)).await;
        }
        if record.old_links.is_empty() || self.is_being_restored(&record.id).await.unwrap_or(true) {
            return;
        }
        for link in record.old_links.iter().rev() {
            if let Err(error) = self.remove_link(&record.set, link).await {
                tracing::warn!(backup = id, %link, %error, "an earlier chain stays for now");
                return;
            }
            self.amend_surely::<VolumeBackup>(project, id, |record| record.old_links.retain(|other| other != link)).await;
        }
    }

    /// Notes that the pending point was not made. What was whole before still is.
    pub(in crate::openstack) async fn end_failed(&self, project: &str, id: &str, reason: &str) {
        self.amend_surely::<VolumeBackup>(project, id, |record| {
            if record.status != Status::Deleting {
                (record.status, record.owner) = (Status::Error, None);
            }
            record.fail_reason = Some(reason.to_owned());
            record.pending = None;
        })
        .await;
        self.disorder.notify_one();
    }

    /// Changes a record, and tries that for a while when the state fails; false when it does for longer.
    pub(in crate::openstack) async fn amend_surely<R: crate::openstack::record::Kept>(
        &self,
        project: &str,
        id: &str,
        mut change: impl FnMut(&mut R) + Send,
    ) -> bool {
        for _ in 0..KEEP_TRIES {
            let amended = self.amend::<R>(project, id, |record| {
                change(record);
                Ok(())
            });
            match amended.await {
                Ok(_) => return true,
                Err(failure) => tracing::error!(id, "a record could not be kept: {}", failure.message()),
            }
            self.pause(SECOND).await;
        }
        false
    }
}
