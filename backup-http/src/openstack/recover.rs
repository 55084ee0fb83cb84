//! Order: what an earlier process left in the middle is ended, and nothing stays at the cloud that nobody needs.
//!
//! Looked at when a process starts, when something was left behind, and from time to time. A record that a process works on names it
//! (`owner`); one whose process is gone, or has given it up, is taken up here, under the lock of its volume.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backup_core::{Error, Result, Retry};

use super::id::job_id;
use super::record::{InstanceBackup, InstanceSnapshot, Kept, Status, VolumeBackup};
use super::volume_backups::{Removed, removal_id};
use super::volumes::{Restore, Rollback, live_id};
use super::{Inner, Leftover, Principal, Role, locks, why};

/// The pause between two looks, and after one that found what has to wait; that one doubles up to the longest.
const OFTEN: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

/// Of so many pauses one look asks the cloud for leftovers without a reason.
const SWEEP_EACH: u32 = 10;

const WHY: &str = "interrupted: the server ended while it ran";

/// What came of one look at everything.
#[derive(Default)]
struct Looked {
    /// Something has to wait for others.
    waits: bool,
    failed: Option<Error>,
}

impl Looked {
    fn saw(&mut self, one: Result<bool>) {
        match one {
            Ok(orderly) => self.waits |= !orderly,
            Err(error) => {
                tracing::warn!(%error, "something is not in order yet");
                self.failed.get_or_insert(error);
            }
        }
    }
}

impl Inner {
    /// Begins to keep order, as long as this dialect is there.
    pub(super) fn keep_order(self: &Arc<Self>) {
        let (this, clock, stopping) = (Arc::downgrade(self), Arc::clone(&self.environment.clock), self.stopping.clone());
        tokio::spawn(async move {
            let mut looks = 0_u32;
            // Something may be left of the process before.
            let (mut wanted, mut again) = (true, AGAIN);
            loop {
                let Some(inner) = this.upgrade() else { return };
                let done = inner.put_in_order(wanted || looks.is_multiple_of(SWEEP_EACH)).await;
                if let Err(error) = &done {
                    tracing::warn!(%error, "not all is in order yet; it is tried again");
                }
                looks = looks.wrapping_add(1);
                let orderly = matches!(done, Ok(true));
                let pause = if orderly { OFTEN } else { again };
                again = if orderly { AGAIN } else { (again * 2).min(LONGEST) };
                tokio::select! {
                    biased;
                    () = stopping.cancelled() => return,
                    () = inner.disorder.notified(), if orderly => wanted = true,
                    () = clock.sleep(pause) => wanted = !orderly,
                }
            }
        });
    }

    /// Whether all is in order now; false while something has to wait for others.
    pub(super) async fn put_in_order(self: &Arc<Self>, sweep: bool) -> Result<bool> {
        let mut looked = Looked::default();
        for record in self.all::<VolumeBackup>(None).await? {
            looked.saw(self.order_volume_backup(record).await);
        }
        for restore in self.restores(None).await? {
            looked.saw(self.order_restore(&restore).await);
        }
        for rollback in self.rollbacks().await? {
            looked.saw(self.order_rollback(&rollback).await);
        }
        for record in self.all::<InstanceSnapshot>(None).await? {
            looked.saw(self.order_instance_snapshot(record).await);
        }
        for record in self.all::<InstanceBackup>(None).await? {
            looked.saw(self.order_instance_backup(record).await);
        }
        if sweep {
            for retained in [
                self.retain_all::<VolumeBackup>().await,
                self.retain_all::<InstanceBackup>().await,
                self.retain_all::<InstanceSnapshot>().await,
            ] {
                looked.saw(retained.map(|()| true));
            }
            looked.saw(self.sweep().await.map(|()| true));
        }
        looked.failed.map_or(Ok(!looked.waits), Err)
    }

    /// Whether a process still works on something, this one or another.
    async fn is_worked_on(&self, owner: &str, live: &str) -> Result<bool> {
        match owner == self.owner.name() {
            true => Ok(self.is_live(live)),
            false => self.owner.is_alive(owner).await,
        }
    }

    /// The same, for a record that may be nobody's.
    async fn is_owned(&self, owner: Option<&str>, live: &str) -> Result<bool> {
        match owner {
            Some(owner) => self.is_worked_on(owner, live).await,
            None => Ok(false),
        }
    }

    pub(super) async fn order_volume_backup(self: &Arc<Self>, record: VolumeBackup) -> Result<bool> {
        if record.moving.is_some() {
            let owner = record.owner.as_deref().unwrap_or_default();
            return match self.is_worked_on(owner, &record.id).await? {
                true => Ok(true),
                false => self.order_move(&record).await.map(|()| true),
            };
        }
        let removing = record.status == Status::Deleting;
        let live = if removing { removal_id(&record.id) } else { record.id.clone() };
        if removing {
            if !self.is_owned(record.owner.as_deref(), &live).await? && self.take_over(&record, &live).await? {
                let (leave, _) = self.claim(&live);
                self.begin_removal(leave, record, Removed::new());
            }
            return Ok(true);
        }
        let Some(owner) = record.owner.clone() else {
            if !record.old_links.is_empty() || !record.old_bases.is_empty() {
                let Some(_lock) = self.locks.try_lock(&locks::volume(&record.volume_id)).await? else { return Ok(false) };
                self.tidy(&record.project_id, &record.id).await;
            }
            return Ok(true);
        };
        if self.is_worked_on(&owner, &live).await? {
            return Ok(true);
        }
        let Some(_lock) = self.locks.try_lock(&locks::volume(&record.volume_id)).await? else { return Ok(false) };
        // Until the lock was had it may have come to its end.
        let Some(record) = self.get::<VolumeBackup>(&record.project_id, &record.id).await? else { return Ok(true) };
        if record.owner.as_ref() != Some(&owner) || record.status == Status::Deleting {
            return Ok(false);
        }
        // Other work may have begun by now, and wait for the lock.
        if self.is_worked_on(&owner, &live).await? {
            return Ok(true);
        }
        let published = match &record.pending {
            Some(pending) => self.published(&record, &pending.link).await?,
            None => None,
        };
        let (project, id) = (record.project_id.as_str(), record.id.as_str());
        match published {
            Some(info) => {
                let by = Principal::Project(project.to_owned());
                tracing::warn!(backup = id, point = %info.id, "a volume backup was interrupted after it was published");
                self.commit_point(&by, project, id, &info).await?;
            }
            None if record.pending.is_none() => self.show_committed(&record).await,
            None => {
                if !self.given_up(&record).await? {
                    return Ok(false);
                }
                let reason = record.fail_reason.as_deref().filter(|_| owner == self.owner.name()).unwrap_or(WHY);
                tracing::warn!(backup = id, reason, "a volume backup was interrupted");
                self.end_failed(project, id, reason).await;
            }
        }
        Ok(true)
    }

    /// A point that was taken into the record, and not shown yet.
    async fn show_committed(&self, record: &VolumeBackup) {
        let (project, id, now) = (record.project_id.as_str(), record.id.as_str(), self.now());
        self.tidy(project, id).await;
        self.amend_surely::<VolumeBackup>(project, id, |record| {
            if record.status == Status::Updating {
                record.updated_at = Some(now);
            }
            if record.status != Status::Deleting {
                record.status = if record.is_whole() { Status::Active } else { Status::Error };
                record.owner = None;
            }
        })
        .await;
    }

    /// A removal goes on in this process from now on; false when it does elsewhere, or is at its end.
    async fn take_over<R: Kept>(&self, record: &R, live: &str) -> Result<bool> {
        let owner = self.owner.name().to_owned();
        self.amend_judged(record, live, |record| record.set_owner(Some(owner.clone()))).await
    }

    /// A volume into which all of the data came is freed; any other one is none.
    async fn order_restore(&self, restore: &Restore) -> Result<bool> {
        if self.is_worked_on(&restore.owner, &restore.id).await? {
            return Ok(true);
        }
        // Until then it may have come further, or to its end.
        let Some(restore) = self.restore_by_now(restore).await? else { return Ok(true) };
        let by = Principal::Project(restore.project.clone());
        if restore.restored || self.is_restored(&by, &restore).await? {
            match self.settle(&by, &restore, None).await {
                Err(error) if error.retry() == Retry::Never => self.settle(&by, &restore, Some(&why(&error))).await?,
                ended => ended?,
            }
        } else {
            self.settle(&by, &restore, Some(WHY)).await?;
        }
        Ok(true)
    }

    /// What the cloud says of a volume, where the record may not know it yet.
    async fn is_restored(&self, by: &Principal, restore: &Restore) -> Result<bool> {
        let Some(volume) = &restore.volume_id else { return Ok(false) };
        let cx = self.looking();
        cx.run(self.cloud.is_restored(&cx, by, volume)).await
    }

    /// A rollback is brought to its end when nothing uses the volume; else the volume says that it was not.
    pub(super) async fn order_rollback(self: &Arc<Self>, rollback: &Rollback) -> Result<bool> {
        let live = live_id(&rollback.volume_id);
        if self.is_worked_on(&rollback.owner, &live).await? {
            return Ok(true);
        }
        let Some(lock) = self.locks.try_lock(&locks::volume(&rollback.volume_id)).await? else { return Ok(false) };
        // Until the lock was had it may have come to its end, and the volume has other data by now.
        let Some(rollback) = self.rollback_of(&rollback.volume_id).await? else { return Ok(true) };
        if self.is_worked_on(&rollback.owner, &live).await? {
            return Ok(true);
        }
        let by = Principal::Project(rollback.project.clone());
        // What the process before holds of the volume is in the way of everybody.
        if self.let_go(&rollback, rollback.failed.as_deref()).await? || rollback.ended {
            return self.forget_rollback(&rollback.volume_id).await.map(|()| true);
        }
        let interrupted = format!("a rollback to {} was interrupted", rollback.snapshot_id);
        let looked = async {
            let volume = self.quiet_volume(&by, &rollback.volume_id).await?;
            let snapshot = self.snapshot_of(&by, &volume, &rollback.snapshot_id).await?;
            Ok::<_, super::errors::Failure>((volume, snapshot))
        };
        match looked.await {
            Ok((volume, snapshot)) => {
                // Should it not begin again either: half a rollback is no volume.
                let cx = self.changing();
                cx.run(self.cloud.mark_volume(&cx, &by, &volume.id, &interrupted)).await?;
                tracing::warn!(volume = volume.id, "a rollback was interrupted; it goes on");
                let (leave, _) = self.claim(&live);
                drop(self.run_rollback(leave, by, volume, snapshot, lock));
                Ok(true)
            }
            Err(failure) if failure.status().is_server_error() => Ok(false),
            Err(failure) => {
                let why = format!("{interrupted}: {}", failure.message());
                tracing::error!(volume = rollback.volume_id, why, "a rollback cannot go on");
                self.let_go(&rollback, Some(&why)).await?;
                self.forget_rollback(&rollback.volume_id).await.map(|()| true)
            }
        }
    }

    pub(super) async fn order_instance_snapshot(self: &Arc<Self>, record: InstanceSnapshot) -> Result<bool> {
        let removing = record.status == Status::Deleting;
        if (record.owner.is_none() && !removing) || self.is_owned(record.owner.as_deref(), &record.id).await? {
            return Ok(true);
        }
        if removing {
            if self.take_over(&record, &record.id).await? {
                self.begin_snapshot_removal(record.project_id, record.id);
            }
            return Ok(true);
        }
        // Its snapshots carry its id, those included that it does not know of; the sweep removes them.
        self.amend_judged(&record, &record.id, |record| {
            (record.status, record.owner) = (Status::Error, None);
            record.fail_reason = Some(WHY.to_owned());
            record.members.clear();
        })
        .await?;
        Ok(true)
    }

    pub(super) async fn order_instance_backup(self: &Arc<Self>, record: InstanceBackup) -> Result<bool> {
        let removing = record.status == Status::Deleting;
        let live = if removing { removal_id(&record.id) } else { record.id.clone() };
        if (record.owner.is_none() && !removing) || self.is_owned(record.owner.as_deref(), &live).await? {
            return Ok(true);
        }
        if removing {
            if self.take_over(&record, &live).await? {
                self.begin_instance_removal(record.project_id, record.id);
            }
            return Ok(true);
        }
        let since = record.updated_at.unwrap_or(record.created_at);
        let mut moved = true;
        for member in &record.members {
            let backup = self.get::<VolumeBackup>(&record.project_id, &member.id).await?;
            if backup.as_ref().is_some_and(|backup| backup.owner.is_some()) {
                // Its members first.
                return Ok(false);
            }
            moved &= backup.and_then(|backup| backup.updated_at).is_some_and(|updated| updated > since);
        }
        let failed = |failure: super::errors::Failure| Error::new(&backup_core::error::codes::INTERNAL, failure.message());
        // An update that ended before it came to its members has done nothing.
        let whole = (moved || record.status != Status::Updating) && self.members_are_active(&record).await.map_err(failed)?;
        let now = self.now();
        self.amend_judged(&record, &live, |record| {
            if whole && record.status == Status::Updating {
                record.updated_at = Some(now);
            }
            record.owner = None;
            record.status = if whole { Status::Active } else { Status::Error };
            record.fail_reason = (!whole).then(|| WHY.to_owned());
        })
        .await?;
        Ok(true)
    }

    /// Removes what is ours at the cloud and needed by no record. Listed before the records are read: what is made meanwhile is not seen.
    async fn sweep(&self) -> Result<()> {
        let cx = self.changing();
        let found = cx.run(self.cloud.leftovers(&cx)).await?;
        if found.is_empty() {
            return Ok(());
        }
        let (mut jobs, mut bases, mut failed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        // One that cannot be read, of a newer version of this program, may need anything.
        for record in self.every::<VolumeBackup>().await? {
            if let Some(pending) = &record.pending {
                jobs.insert(job_id(&pending.link)?.as_str().to_owned());
            }
            bases.insert(record.snapshot_id);
        }
        for restore in self.every_restore().await? {
            jobs.insert(job_id(&restore.id)?.as_str().to_owned());
        }
        for record in self.every::<InstanceSnapshot>().await? {
            if record.status == Status::Error && record.members.is_empty() {
                failed.insert(job_id(&record.id)?.as_str().to_owned());
            }
        }
        let is_needed = |thing: &Leftover| match thing.role {
            // Those of a user: of a snapshot that failed only, and never of one that is not known.
            Role::Kept => !failed.contains(&thing.job),
            _ => jobs.contains(&thing.job) || bases.contains(&thing.id),
        };
        let mut first = None;
        for thing in found.iter().filter(|thing| !is_needed(thing)) {
            tracing::warn!(id = thing.id, kind = ?thing.kind, role = thing.role.as_str(), job = thing.job, "removing what nobody needs");
            let cx = self.changing();
            if let Err(error) = cx.run(self.cloud.remove_leftover(&cx, thing)).await {
                tracing::warn!(id = thing.id, %error, "a leftover stays for now");
                first.get_or_insert(error);
            }
        }
        first.map_or(Ok(()), Err)
    }
}
