//! A volume backup that another project gets.
//!
//! Its record is kept under the new project first, where nothing can be done to it yet; then it is taken from the old one, if it is
//! still what was copied; then the new one counts. Its set in the repository stays what it was.

use backup_core::Result;
use backup_core::state::Expected;

use crate::kept;
use crate::openstack::errors::Failure;
use crate::openstack::record::{InstanceBackup, Kept, Moving, Status, VolumeBackup};
use crate::openstack::{Inner, Principal, Resource};

/// # Errors
/// 409 while it is being moved.
pub(super) fn check_still(record: &VolumeBackup) -> Result<(), Failure> {
    match record.moving {
        Some(_) => Err(Failure::conflict(format!("Volume backup {} is being moved!", record.id))),
        None => Ok(()),
    }
}

impl Inner {
    /// # Errors
    /// 409 for a member of an instance backup, which would not find it any more, and while something is being done to it.
    pub(super) async fn check_movable(&self, record: &VolumeBackup) -> Result<(), Failure> {
        let failed = |error| Failure::internal(&error);
        check_still(record)?;
        if record.owner.is_some() || record.status == Status::Deleting {
            return Err(Failure::conflict(format!("Volume backup {} is {}!", record.id, record.status.as_str())));
        }
        let whole = self.all::<InstanceBackup>(Some(&record.project_id)).await.map_err(failed)?;
        if let Some(whole) = whole.iter().find(|whole| whole.members.iter().any(|member| member.id == record.id)) {
            return Err(Failure::conflict(format!("Volume backup {} is needed by instance backup {}!", record.id, whole.id)));
        }
        match self.is_being_restored(&record.id).await.map_err(failed)? {
            true => Err(Failure::conflict(format!("Volume backup {} is being restored!", record.id))),
            false => Ok(()),
        }
    }

    /// Gives a backup that nothing is being done to to another project.
    ///
    /// # Errors
    /// 409, also when it was changed meanwhile; 403 for a quota; those of the state.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(super) async fn move_volume_backup(
        self: &std::sync::Arc<Self>,
        record: &VolumeBackup,
        project: &str,
    ) -> Result<(), Failure> {
        let failed = |error| Failure::internal(&error);
        // As far as it is known without a token of that project.
        let limit = self.limit(&Principal::Project(project.to_owned()), Resource::VolumeBackups).await?;
        let from = record.project_id.as_str();
        // Always in the same order, so that two never wait for each other.
        let (first, second) = if from < project { (from, project) } else { (project, from) };
        let _projects = (self.lock_project(first).await?, self.lock_project(second).await?);
        let _volume = self.lock_volume_now(&record.volume_id).await?;
        let key = record.key();
        let gone = || Failure::not_found(format!("Volume backup {} is not found!", record.id));
        let entry = self.state.get(&key).await.map_err(failed)?.ok_or_else(gone)?;
        let record: VolumeBackup = kept::decode(&key, &entry.value).map_err(failed)?;
        self.check_movable(&record).await?;
        self.check_quota::<VolumeBackup>(project, limit, 1).await?;
        if record.incremental && record.source_zone.is_none() && record.status != Status::Error {
            self.check_only_incremental(project, &record.volume_id, None).await?;
        }

        let (leave, _) = self.claim(&record.id);
        let mut moved = record.clone();
        project.clone_into(&mut moved.project_id);
        moved.moving = Some(Moving { from: record.project_id.clone(), status: record.status });
        (moved.status, moved.owner) = (Status::Importing, Some(self.owner.name().to_owned()));
        let changed = || Failure::conflict(format!("Volume backup {} is being changed by others!", record.id));
        let moves = async {
            if !kept::set(&*self.state, &moved.key(), Expected::Absent, &moved).await? {
                return Ok(false);
            }
            self.state.compare_and_set(&key, Expected::Version(entry.version), None).await
        };
        let moves = moves.await;
        drop(leave);
        if let Ok(true) = moves {
            self.end_move(project, &record.id).await;
            return Ok(());
        }
        // Which of the two counts is seen by what is there.
        if let Err(error) = self.order_move(&moved).await {
            tracing::warn!(backup = record.id, %error, "a backup is still being moved");
            self.disorder.notify_one();
        }
        moves.map_err(failed)?;
        Err(changed())
    }

    async fn end_move(&self, project: &str, id: &str) {
        self.amend_surely::<VolumeBackup>(project, id, |record| {
            if let Some(moving) = record.moving.take() {
                (record.status, record.owner) = (moving.status, None);
            }
        })
        .await;
    }

    /// Ends a move that nobody works on: where the old project still has the backup, the new one does not get it.
    pub(in crate::openstack) async fn order_move(&self, moved: &VolumeBackup) -> Result<()> {
        let key = moved.key();
        let Some(entry) = self.state.get(&key).await? else { return Ok(()) };
        let found: VolumeBackup = kept::decode(&key, &entry.value)?;
        let Some(moving) = &found.moving else { return Ok(()) };
        if self.get::<VolumeBackup>(&moving.from, &found.id).await?.is_some() {
            return self.state.compare_and_set(&key, Expected::Version(entry.version), None).await.map(drop);
        }
        self.end_move(&found.project_id, &found.id).await;
        Ok(())
    }
}
