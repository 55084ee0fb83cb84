//! A link in the repository: what it builds on, and the job that makes it.

use std::sync::Arc;

use backup_core::error::codes;
use backup_core::repository::BackupInfo;
use backup_core::service::{JobHandle, SubmitOptions, Target};
use backup_core::{BackupId, BackupRequest, Error, Result};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{BACKUP_LABEL, LINK_LABEL, Work};
use crate::openstack::id::job_id;
use crate::openstack::record::VolumeBackup;
use crate::openstack::{Inner, LOOK, Parent, Principal, SourceOrder, Volume};

impl Inner {
    /// Makes the pending link of a backup.
    pub(super) async fn link(&self, work: &Work, record: &VolumeBackup) -> Result<Arc<BackupInfo>> {
        let pending = record.pending.as_ref();
        let link = pending.map(|pending| pending.link.clone());
        let link = link.ok_or_else(|| Error::new(&codes::INTERNAL, format!("backup {} has nothing to make", record.id)))?;
        let cx = self.looking();
        let gone = || Error::new(&codes::SOURCE_FAILED, format!("volume {} is not there any more", record.volume_id));
        let volume = cx.run(self.cloud.volume(&cx, &work.by, &record.volume_id)).await?.ok_or_else(gone)?;
        let (size, bootable) = (volume.size, volume.bootable);
        let noted = self.amend_surely::<VolumeBackup>(&work.project, &work.id, |record| {
            if let Some(pending) = &mut record.pending {
                (pending.size, pending.bootable) = (Some(size), bootable);
            }
        });
        if !noted.await {
            return Err(Error::new(&codes::INTERNAL, "the record of a backup could not be kept"));
        }
        let parent = self.parent_of(&work.by, record, &volume).await?;
        let parents: Vec<BackupId> = parent.iter().map(|(id, _)| id.clone()).collect();
        let mut order = SourceOrder::new(volume, link.as_str(), record.name.as_str());
        order.snapshot.clone_from(&work.snapshot);
        order.parent = parent.map(|(_, parent)| parent);
        order.keep_base = record.incremental && self.cloud.keeps_bases();
        let source = self.cloud.source(&work.by, order)?;
        let request = BackupRequest::new(record.set.clone())
            .parents(parents)
            .label(BACKUP_LABEL, record.id.as_str())
            .label(LINK_LABEL, link.as_str());
        let target = Target::new(self.repository.clone(), source, request);
        let options = SubmitOptions::default().id(job_id(&link)?).label("backup", record.id.as_str());
        let handle = self.service.backup(&target, options).await?;
        let done = self.ended(handle, &work.cancel).await?;
        Ok(Arc::clone(done.outcome.backup()))
    }

    /// What the next link builds on: nothing for a full backup, for a chain that is long enough, for a volume that has grown, and when the
    /// base is gone.
    async fn parent_of(&self, by: &Principal, record: &VolumeBackup, volume: &Volume) -> Result<Option<(BackupId, Parent)>> {
        let Some(last) = record.links.last().filter(|_| record.incremental && record.links.len() < self.chain_limit) else {
            return Ok(None);
        };
        if record.size.is_some_and(|size| size < volume.size) {
            tracing::info!(backup = record.id, "the volume has grown: a new full backup begins");
            return Ok(None);
        }
        let cx = self.looking();
        let base = match record.snapshot_id.as_str() {
            "" => None,
            id => match cx.run(self.cloud.snapshot(&cx, by, id)).await? {
                Some(found) if found.status == "available" => Some(id.to_owned()),
                Some(found) if !found.status.starts_with("error") => {
                    let what = format!("the base snapshot {id} is `{}`", found.status);
                    return Err(Error::new(&codes::SOURCE_FAILED, what));
                }
                // It will not become readable again.
                _ => {
                    tracing::warn!(
                        backup = record.id,
                        snapshot = id,
                        "the base snapshot is gone or in error: a new full backup begins"
                    );
                    return Ok(None);
                }
            },
        };
        match cx.run(self.repository.open(&cx, &record.set, last)).await {
            Ok(stored) => Ok(Some((last.clone(), Parent::new(Arc::new(stored), base)))),
            Err(error) if error.is_not_found() => {
                tracing::warn!(backup = record.id, link = %last, "the last link is gone: a new full backup begins");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The backup in the repository that a job published, if it did.
    pub(in crate::openstack) async fn published(&self, record: &VolumeBackup, link: &str) -> Result<Option<Arc<BackupInfo>>> {
        let cx = self.repository.context().with_limit(LOOK * 4);
        let backups = cx.run(self.repository.list(&cx, &record.set)).await?;
        for info in backups.iter().rev().filter(|info| info.state.is_published() && !record.links.contains(&info.id)) {
            let manifest = cx.run(self.repository.manifest(&cx, &record.set, &info.id)).await?;
            if manifest.labels.get(LINK_LABEL).and_then(Value::as_str) == Some(link) {
                return Ok(Some(Arc::clone(info)));
            }
        }
        Ok(None)
    }

    /// Gives up the pending point of a backup that nobody makes any more, so that it keeps no link from being removed; false when it was
    /// published after all.
    pub(in crate::openstack) async fn given_up(&self, record: &VolumeBackup) -> Result<bool> {
        let Some(pending) = &record.pending else { return Ok(true) };
        let cx = self.looking();
        cx.run(self.repository.give_up(&cx, &record.set, &job_id(&pending.link)?)).await
    }

    /// GiB of what was stored, as its source says it: the volume may have grown since it was looked at.
    pub(super) async fn stored_size(&self, record: &VolumeBackup, info: &BackupInfo) -> Option<u64> {
        let cx = self.looking();
        match cx.run(self.repository.manifest(&cx, &record.set, &info.id)).await {
            Ok(manifest) => Some(manifest.source.integrity.as_ref()?.get("size")?.as_u64()?.div_ceil(1 << 30)),
            Err(error) => {
                tracing::warn!(backup = record.id, %error, "the size of what was stored is not known; it is that of the volume");
                None
            }
        }
    }

    /// Waits for the end of a job, and asks it to end when `cancel` does.
    pub(in crate::openstack) async fn ended<T>(&self, handle: JobHandle<T>, cancel: &CancellationToken) -> Result<T> {
        let id = handle.id().clone();
        let mut ended = std::pin::pin!(handle.wait());
        tokio::select! {
            ended = &mut ended => return ended,
            () = cancel.cancelled() => {}
        }
        // A job that is not known any more has ended.
        let _ = self.service.cancel(&id);
        ended.await
    }
}
