//! A backup of all volumes of an instance: a volume backup each, read from snapshots that are asked for together.

use std::sync::Arc;

use backup_core::Result;
use futures::future::join_all;
use serde_json::Value;

use super::order::BackupOrder;
use super::together::volumes;
use crate::openstack::errors::Failure;
use crate::openstack::id::{is_project, job_id, uuid};
use crate::openstack::record::{InstanceBackup, Member, Status, VolumeBackup};
use crate::openstack::volume_backups::{NewBackup, Order, Work};
use crate::openstack::{Caller, Inner, Leave, Principal, Resource, Role, SnapshotOrder, why};

/// A member that is being worked on.
pub(super) struct Moving {
    pub(super) _leave: Leave,
    pub(super) work: Work,
}

impl Inner {
    /// Takes an instance backup on, and answers with its id.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn create_instance_backup(
        self: &Arc<Self>,
        caller: Arc<Caller>,
        order: BackupOrder,
    ) -> Result<String, Failure> {
        if !order.source_zone.is_empty() {
            return self.import_instance_backup(&caller, order).await;
        }
        let by = Principal::Caller(Arc::clone(&caller));
        let server = self.takeable_server(&by, &order.instance_id, "Instance ID").await?;
        let mut found = Vec::new();
        for volume in &server.volumes {
            found.push(self.volume(&by, volume).await?);
        }
        let limits = (self.limit(&by, Resource::InstanceBackups).await?, self.limit(&by, Resource::VolumeBackups).await?);
        let project = caller.project_id.as_str();
        let lock = self.lock_project(project).await?;
        self.check_quota::<InstanceBackup>(project, limits.0, 1).await?;
        self.check_quota::<VolumeBackup>(project, limits.1, found.len()).await?;
        let mut record = self.new_instance_backup(project, &order, &server.id, &server.name);
        let member = Order {
            name: record.id.clone(),
            incremental: order.incremental,
            plan_id: order.plan_id.clone(),
            retention: order.retention,
            copy_zone: order.copy_zone.clone(),
            copy_project: order.copy_project.clone(),
            ..Order::default()
        };
        let mut moving = Vec::new();
        let mut kept = Vec::new();
        let (leave, _) = self.claim(&record.id);
        for volume in &found {
            let instance_backup = Some(record.id.clone());
            let backup = self.new_volume_backup(&NewBackup { project, volume, order: &member, instance_backup })?;
            record.members.push(Member { id: backup.id.clone(), volume_id: volume.id.clone() });
            let (leave, cancel) = self.claim(&backup.id);
            let work = Work { by: by.clone(), project: project.to_owned(), id: backup.id.clone(), cancel, snapshot: None };
            moving.push(Moving { _leave: leave, work });
            kept.push(backup);
        }
        // The whole first: members without one would be nobody's.
        self.create_surely(&record).await?;
        for (at, backup) in kept.iter().enumerate() {
            if let Err(failure) = self.create_surely(backup).await {
                for backup in kept.iter().take(at) {
                    let _ = self.forget(backup).await;
                }
                let _ = self.forget(&record).await;
                return Err(failure);
            }
        }
        drop(lock);
        tracing::info!(backup = record.id, instance = server.id, user = caller.user, "an instance backup was taken on");
        let (this, id) = (Arc::clone(self), record.id.clone());
        self.spawn(leave, async move { this.run_instance_backup(by, record, moving).await });
        Ok(id)
    }

    fn new_instance_backup(&self, project: &str, order: &BackupOrder, instance: &str, name: &str) -> InstanceBackup {
        InstanceBackup {
            id: self.new_id(),
            name: order.name.clone(),
            project_id: project.to_owned(),
            instance_id: instance.to_owned(),
            instance_name: name.to_owned(),
            source_zone: None,
            plan_id: order.plan_id.clone(),
            retention: order.retention,
            incremental: order.incremental,
            copy_zone: order.copy_zone.clone(),
            copy_project: order.copy_project.clone(),
            created_at: self.now(),
            updated_at: None,
            status: Status::Building,
            fail_reason: None,
            owner: Some(self.owner.name().to_owned()),
            members: Vec::new(),
            span_ms: None,
        }
    }

    /// Another zone announces a backup of its own, with the members that it announced before.
    async fn import_instance_backup(&self, caller: &Caller, order: BackupOrder) -> Result<String, Failure> {
        if !caller.is_admin {
            return Err(Failure::forbidden("Argument source_zone needs the role admin!"));
        }
        let project = if order.project_id.is_empty() { caller.project_id.as_str() } else { order.project_id.as_str() };
        if !is_project(project) {
            return Err(Failure::bad("Argument project_id is invalid!"));
        }
        let instance = if order.instance_id.is_empty() { Some(String::new()) } else { uuid(&order.instance_id) };
        let instance = instance.ok_or_else(|| Failure::bad("Argument instance_id is invalid!"))?;
        let mut record = self.new_instance_backup(project, &order, &instance, &order.instance_name);
        for id in &order.volume_backup_ids {
            let id = id.as_str().and_then(uuid).ok_or_else(|| Failure::bad("Argument volume_backup_ids is invalid!"))?;
            let backup = self.get::<VolumeBackup>(project, &id).await.map_err(|error| Failure::internal(&error))?;
            let backup = backup.ok_or_else(|| Failure::bad("Argument volume_backup_ids is invalid!"))?;
            record.members.push(Member { id, volume_id: backup.volume_id });
        }
        let _lock = self.lock_project(project).await?;
        (record.status, record.owner) = (Status::Importing, None);
        record.source_zone = Some(order.source_zone);
        self.create_surely(&record).await?;
        Ok(record.id)
    }

    /// Makes the pending points of all members.
    pub(super) async fn run_instance_backup(self: Arc<Self>, by: Principal, record: InstanceBackup, moving: Vec<Moving>) {
        let (project, id) = (record.project_id.as_str(), record.id.as_str());
        let faults = match self.lock_together(&record.instance_id, &volumes(&record.members)).await {
            Ok(_locks) => self.take_members(&by, &record, &moving).await,
            Err(error) => {
                let reason = why(&error);
                for member in &moving {
                    self.end_failed(project, &member.work.id, &reason).await;
                }
                vec![reason]
            }
        };
        drop(moving);
        let failed = (!faults.is_empty()).then(|| faults.join("; "));
        if let Some(reason) = &failed {
            tracing::error!(backup = id, reason, "an instance backup failed");
        }
        let now = self.now();
        self.amend_surely::<InstanceBackup>(project, id, |record| {
            if record.status == Status::Updating && failed.is_none() {
                record.updated_at = Some(now);
            }
            if record.status != Status::Deleting {
                record.owner = None;
                record.status = if failed.is_some() { Status::Error } else { Status::Active };
                record.fail_reason.clone_from(&failed);
            }
        })
        .await;
        if failed.is_none() {
            self.retain::<InstanceBackup>(project, id).await;
        }
    }

    /// What failed, a text each.
    async fn take_members(&self, by: &Principal, record: &InstanceBackup, moving: &[Moving]) -> Vec<String> {
        let orders = match self.member_snapshots(record, moving).await {
            Ok(orders) => orders,
            Err(error) => return vec![why(&error)],
        };
        let (asked, span) = self.snapshot_together(by, &orders).await;
        self.amend_surely::<InstanceBackup>(&record.project_id, &record.id, |record| record.span_ms = Some(span)).await;
        let each = moving.iter().zip(asked).map(async |(member, asked)| {
            let made = match asked {
                Ok(snapshot) => self.take_member(by, &member.work, &snapshot.id).await,
                Err(error) => {
                    self.end_failed(&record.project_id, &member.work.id, &why(&error)).await;
                    Err(error)
                }
            };
            made.err().map(|error| format!("volume backup {}: {}", member.work.id, why(&error)))
        });
        join_all(each).await.into_iter().flatten().collect()
    }

    async fn member_snapshots(&self, record: &InstanceBackup, moving: &[Moving]) -> Result<Vec<SnapshotOrder>> {
        let keeps = record.incremental && self.cloud.keeps_bases();
        let role = if keeps { Role::Base } else { Role::Temporary };
        let mut orders = Vec::new();
        for member in moving {
            let backup = self.get::<VolumeBackup>(&member.work.project, &member.work.id).await?;
            let pending = backup.and_then(|backup| Some((backup.volume_id, backup.pending?.link)));
            // One that was deleted meanwhile is no longer taken: its snapshot belongs to no job, and goes.
            let (volume, link) = pending.unwrap_or_else(|| {
                let known = record.members.iter().find(|other| other.id == member.work.id);
                (known.map(|known| known.volume_id.clone()).unwrap_or_default(), member.work.id.clone())
            });
            let name = format!("backup-{}", member.work.id);
            orders.push(SnapshotOrder::new(volume, name, role, job_id(&link)?.as_str()));
        }
        Ok(orders)
    }

    /// Makes the point of one member from its snapshot, and removes that unless it is the base of the next update now.
    async fn take_member(&self, by: &Principal, work: &Work, snapshot: &str) -> Result<()> {
        let made = match self.await_snapshot(by, snapshot).await {
            Ok(()) => self.make_point(&Work { snapshot: Some(snapshot.to_owned()), ..work.clone() }).await,
            Err(error) => {
                self.end_failed(&work.project, &work.id, &why(&error)).await;
                Err(error)
            }
        };
        let record = self.get::<VolumeBackup>(&work.project, &work.id).await;
        // What is not known to be ended may still have it as its base.
        let is_free = match record {
            Ok(Some(record)) => record.pending.is_none() && record.snapshot_id != snapshot,
            Ok(None) => true,
            Err(_) => false,
        };
        if is_free {
            self.drop_snapshots(&work.project, &[snapshot.to_owned()]).await;
        }
        made
    }

    /// Whether every member is there and whole.
    pub(in crate::openstack) async fn members_are_active(&self, record: &InstanceBackup) -> Result<bool, Failure> {
        for member in &record.members {
            let backup = self.get::<VolumeBackup>(&record.project_id, &member.id).await;
            let backup = backup.map_err(|error| Failure::internal(&error))?;
            if !backup.is_some_and(|backup| backup.status == Status::Active) {
                return Ok(false);
            }
        }
        Ok(!record.members.is_empty())
    }
}

/// The ids that a request names, of any form.
pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}
