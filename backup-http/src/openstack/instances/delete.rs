//! Removing instance backups and snapshots: their members first, then the record.

use std::sync::Arc;
use std::time::Duration;

use backup_core::{Error, ErrorKind, Result, Retry};

use super::together::volumes;
use crate::openstack::errors::Failure;
use crate::openstack::id::job_id;
use crate::openstack::record::{InstanceBackup, InstanceSnapshot, Kept, Status, VolumeBackup};
use crate::openstack::{Inner, Principal, Role, why};

/// The pause after a removal that failed and may succeed later.
const PAUSE: Duration = Duration::from_secs(10);

impl Inner {
    /// Begins the removal of an instance snapshot; one that is being removed stays so.
    ///
    /// # Errors
    /// Those of the state.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn delete_instance_snapshot(
        self: &Arc<Self>,
        record: &InstanceSnapshot,
    ) -> Result<(), Failure> {
        if record.status == Status::Building {
            return Err(Failure::conflict(format!("Instance snapshot {} is building!", record.id)));
        }
        let owner = self.owner.name().to_owned();
        let mut first = false;
        let amended = self.amend::<InstanceSnapshot>(&record.project_id, &record.id, |record| {
            first = record.status != Status::Deleting;
            (record.status, record.owner) = (Status::Deleting, Some(owner.clone()));
            Ok(())
        });
        if amended.await?.is_some() && first {
            self.begin_snapshot_removal(record.project_id.clone(), record.id.clone());
        }
        Ok(())
    }

    pub(in crate::openstack) fn begin_snapshot_removal(self: &Arc<Self>, project: String, id: String) {
        let (leave, _) = self.claim(&id);
        let this = Arc::clone(self);
        self.spawn(leave, async move {
            while !this.stopping.is_cancelled() {
                match this.remove_instance_snapshot(&project, &id).await {
                    Ok(()) => return,
                    Err(error) if this.gives_up::<InstanceSnapshot>(&project, &id, &error, InstanceSnapshot::fail).await => {
                        return;
                    }
                    Err(_) => this.pause(PAUSE).await,
                }
            }
        });
    }

    async fn remove_instance_snapshot(&self, project: &str, id: &str) -> Result<()> {
        let Some(record) = self.get::<InstanceSnapshot>(project, id).await? else { return Ok(()) };
        let _locks = self.lock_together(&record.instance_id, &volumes(&record.members)).await?;
        let by = Principal::Project(project.to_owned());
        for member in &record.members {
            let cx = self.changing();
            cx.run(self.cloud.delete_snapshot(&cx, &by, &member.id)).await?;
        }
        if record.members.is_empty() {
            self.remove_unknown_snapshots(&record.id).await?;
        }
        self.forget(&record).await?;
        tracing::info!(snapshot = id, project, "an instance snapshot was removed");
        Ok(())
    }

    /// What was made for an instance snapshot that failed, and could not be removed then, or was not known. Without the record nobody would
    /// know what it was for.
    async fn remove_unknown_snapshots(&self, id: &str) -> Result<()> {
        let (cx, job) = (self.changing(), job_id(id)?);
        for thing in cx.run(self.cloud.leftovers(&cx)).await? {
            if thing.role == Role::Kept && thing.job == job.as_str() {
                let cx = self.changing();
                cx.run(self.cloud.remove_leftover(&cx, &thing)).await?;
            }
        }
        Ok(())
    }

    /// Whether trying again helps nothing; then the record says so.
    async fn gives_up<R: Kept>(&self, project: &str, id: &str, error: &Error, fail: fn(&mut R, String)) -> bool {
        let never = error.retry() == Retry::Never && error.kind() != ErrorKind::PermissionDenied;
        if never {
            tracing::error!(id, %error, "cannot be removed");
            let reason = format!("it could not be deleted: {}", why(error));
            self.amend_surely::<R>(project, id, |record| fail(record, reason.clone())).await;
        } else {
            tracing::warn!(id, %error, "is not removed yet; it is tried again");
        }
        never
    }

    /// Begins the removal of an instance backup with all its members; one that is being removed stays so.
    ///
    /// # Errors
    /// 409 while a member is needed; those of the state.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn delete_instance_backup(self: &Arc<Self>, record: &InstanceBackup) -> Result<(), Failure> {
        if record.status == Status::Deleting {
            return Ok(());
        }
        for member in &record.members {
            let failed = |error: Error| Failure::internal(&error);
            if self.is_being_restored(&member.id).await.map_err(failed)? {
                return Err(Failure::conflict(format!("Volume backup {} is being restored!", member.id)));
            }
        }
        let owner = self.owner.name().to_owned();
        let mut first = false;
        let amended = self.amend::<InstanceBackup>(&record.project_id, &record.id, |record| {
            first = record.status != Status::Deleting;
            (record.status, record.owner) = (Status::Deleting, Some(owner.clone()));
            Ok(())
        });
        if amended.await?.is_some() && first {
            self.begin_instance_removal(record.project_id.clone(), record.id.clone());
        }
        Ok(())
    }

    pub(in crate::openstack) fn begin_instance_removal(self: &Arc<Self>, project: String, id: String) {
        let (leave, _) = self.claim(&format!("removal/{id}"));
        let this = Arc::clone(self);
        self.spawn(leave, async move {
            if let Err(reason) = this.remove_instance_backup(&project, &id).await {
                // Whoever starts next goes on.
                if this.stopping.is_cancelled() {
                    return;
                }
                tracing::error!(backup = id, reason, "an instance backup cannot be removed");
                this.amend_surely::<InstanceBackup>(&project, &id, |record| record.fail(reason.clone())).await;
            }
        });
    }

    async fn remove_instance_backup(self: &Arc<Self>, project: &str, id: &str) -> Result<(), String> {
        let text = |error: Error| why(&error);
        let Some(record) = self.get::<InstanceBackup>(project, id).await.map_err(text)? else { return Ok(()) };
        let mut removals = Vec::new();
        for member in &record.members {
            let backup = self.get::<VolumeBackup>(project, &member.id).await.map_err(text)?;
            // One that was deleted by itself is gone.
            let Some(backup) = backup else { continue };
            removals.push((member.id.clone(), self.delete_volume_backup(&backup).await));
        }
        let mut faults = Vec::new();
        for (member, removal) in removals {
            match removal {
                Ok(ended) => {
                    ended.cancelled().await;
                    self.await_removal(project, &member).await.map_err(text)?;
                    let left = self.get::<VolumeBackup>(project, &member).await.map_err(text)?;
                    faults.extend(left.map(|left| format!("volume backup {member}: {}", left.fail_reason.unwrap_or_default())));
                }
                Err(failure) => faults.push(format!("volume backup {member}: {}", failure.message())),
            }
        }
        if !faults.is_empty() {
            return Err(format!("it could not be deleted: {}", faults.join("; ")));
        }
        self.forget(&record).await.map_err(text)?;
        tracing::info!(backup = id, project, "an instance backup was removed");
        Ok(())
    }

    /// Waits for a removal that somebody else began.
    async fn await_removal(&self, project: &str, id: &str) -> Result<()> {
        while !self.stopping.is_cancelled() {
            match self.get::<VolumeBackup>(project, id).await? {
                Some(record) if record.status == Status::Deleting => self.pause(Duration::from_secs(1)).await,
                _ => return Ok(()),
            }
        }
        Err(Error::new(&backup_core::error::codes::JOB_CANCELLED, "the server is being stopped"))
    }
}

impl InstanceSnapshot {
    fn fail(&mut self, reason: String) {
        (self.status, self.owner, self.fail_reason) = (Status::Error, None, Some(reason));
    }
}

impl InstanceBackup {
    fn fail(&mut self, reason: String) {
        (self.status, self.owner, self.fail_reason) = (Status::Error, None, Some(reason));
    }
}
