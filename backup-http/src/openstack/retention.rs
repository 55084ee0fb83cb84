//! How many backups and snapshots of a plan stay.

use std::future::Future;
use std::sync::Arc;

use backup_core::Result;

use super::Inner;
use super::errors::Failure;
use super::record::{InstanceBackup, InstanceSnapshot, Kept, Status, VolumeBackup};

/// What a plan makes again and again.
pub(super) trait Planned: Kept {
    /// How many stay; all when it is none.
    fn retention(&self) -> u64;

    /// Whether it is one of many of a plan: not an incremental object, not a part of another, not of another zone.
    fn is_one_of_many(&self) -> bool;

    /// Whether both are of one plan and thing, in one project.
    fn is_like(&self, other: &Self) -> bool;

    fn delete(&self, inner: &Arc<Inner>) -> impl Future<Output = Result<(), Failure>> + Send;
}

impl Planned for VolumeBackup {
    fn retention(&self) -> u64 {
        self.retention
    }

    fn is_one_of_many(&self) -> bool {
        !self.incremental && self.instance_backup.is_none() && self.source_zone.is_none()
    }

    fn is_like(&self, other: &Self) -> bool {
        (&self.project_id, &self.plan_id, &self.volume_id) == (&other.project_id, &other.plan_id, &other.volume_id)
    }

    async fn delete(&self, inner: &Arc<Inner>) -> Result<(), Failure> {
        inner.delete_volume_backup(self).await.map(drop)
    }
}

impl Planned for InstanceBackup {
    fn retention(&self) -> u64 {
        self.retention
    }

    fn is_one_of_many(&self) -> bool {
        !self.incremental && self.source_zone.is_none()
    }

    fn is_like(&self, other: &Self) -> bool {
        (&self.project_id, &self.plan_id, &self.instance_id) == (&other.project_id, &other.plan_id, &other.instance_id)
    }

    async fn delete(&self, inner: &Arc<Inner>) -> Result<(), Failure> {
        inner.delete_instance_backup(self).await
    }
}

impl Planned for InstanceSnapshot {
    fn retention(&self) -> u64 {
        self.retention
    }

    fn is_one_of_many(&self) -> bool {
        true
    }

    fn is_like(&self, other: &Self) -> bool {
        (&self.project_id, &self.plan_id, &self.instance_id) == (&other.project_id, &other.plan_id, &other.instance_id)
    }

    async fn delete(&self, inner: &Arc<Inner>) -> Result<(), Failure> {
        inner.delete_instance_snapshot(self).await
    }
}

/// What is beyond the retention of `new`: of all like it, the newest whole ones stay. One that failed takes no place among those, and goes
/// with what is older than them.
fn beyond<'a, R: Planned>(newest_first: &'a [R], new: &R) -> Vec<&'a R> {
    let keep = match usize::try_from(new.retention()) {
        Ok(keep @ 1..) if new.is_one_of_many() && new.status() == Status::Active => keep,
        _ => return Vec::new(),
    };
    let mut kept = 0;
    let mut old = Vec::new();
    for record in newest_first.iter().filter(|record| record.is_one_of_many() && record.is_like(new)) {
        match record.status() {
            Status::Active if kept < keep => kept += 1,
            Status::Active | Status::Error if kept >= keep => old.push(record),
            _ => {}
        }
    }
    old
}

impl Inner {
    /// Removes what is beyond the retention of a record that is whole.
    pub(super) async fn retain<R: Planned>(self: &Arc<Self>, project: &str, id: &str) {
        let Ok(all) = self.all::<R>(Some(project)).await else { return };
        let Some(new) = all.iter().find(|record| record.id() == id) else { return };
        self.remove_all(&beyond(&all, new)).await;
    }

    /// Removes what is beyond the retention of the newest whole record of each plan: the process that made it may have ended before it
    /// came to that.
    pub(super) async fn retain_all<R: Planned>(self: &Arc<Self>) -> Result<()> {
        let all = self.all::<R>(None).await?;
        for (at, new) in all.iter().enumerate() {
            let is_whole_like_it = |other: &R| other.status() == Status::Active && other.is_one_of_many() && other.is_like(new);
            if !all.iter().take(at).any(is_whole_like_it) {
                self.remove_all(&beyond(&all, new)).await;
            }
        }
        Ok(())
    }

    async fn remove_all<R: Planned>(self: &Arc<Self>, old: &[&R]) {
        for record in old {
            tracing::info!(id = record.id(), what = R::WHAT, "beyond the retention of its plan");
            if let Err(failure) = record.delete(self).await {
                tracing::warn!(id = record.id(), what = R::WHAT, "retention leaves it: {}", failure.message());
            }
        }
    }
}
