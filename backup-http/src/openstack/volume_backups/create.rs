//! Taking a volume backup on: checks, record, work.

use std::sync::Arc;

use super::{Order, Work, set};
use crate::openstack::errors::{Failure, shown};
use crate::openstack::id::{is_project, uuid};
use crate::openstack::record::{Kept, Pending, Status, VolumeBackup};
use crate::openstack::{Caller, Inner, Principal, Resource, Volume};

/// What a new record is made of.
pub(in crate::openstack) struct NewBackup<'a> {
    pub(in crate::openstack) project: &'a str,
    pub(in crate::openstack) volume: &'a Volume,
    pub(in crate::openstack) order: &'a Order,
    pub(in crate::openstack) instance_backup: Option<String>,
}

impl Inner {
    /// Takes a volume backup on, and answers with its id.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn create_volume_backup(
        self: &Arc<Self>,
        caller: Arc<Caller>,
        order: Order,
    ) -> Result<String, Failure> {
        if !order.source_zone.is_empty() {
            return self.import_volume_backup(&caller, order).await;
        }
        let by = Principal::Caller(Arc::clone(&caller));
        let volume = self.volume(&by, &order.volume_id).await?;
        let limit = self.limit(&by, Resource::VolumeBackups).await?;
        let project = caller.project_id.as_str();
        let lock = self.lock_project(project).await?;
        if order.incremental {
            self.check_only_incremental(project, &volume.id, None).await?;
        }
        self.check_quota::<VolumeBackup>(project, limit, 1).await?;
        let record = self.new_volume_backup(&NewBackup { project, volume: &volume, order: &order, instance_backup: None })?;
        let (leave, cancel) = self.claim(&record.id);
        self.create_surely(&record).await?;
        drop(lock);
        tracing::info!(backup = record.id, volume = volume.id, project, user = caller.user, "a volume backup was taken on");
        let work = Work { by, project: project.to_owned(), id: record.id.clone(), cancel, snapshot: None };
        let this = Arc::clone(self);
        self.spawn(leave, async move { this.run_point(work).await });
        Ok(record.id)
    }

    /// A volume that the caller sees.
    ///
    /// # Errors
    /// 404; those of the cloud.
    pub(in crate::openstack) async fn volume(&self, by: &Principal, id: &str) -> Result<Volume, Failure> {
        let none = || Failure::not_found(format!("Volume {} is not found!", shown(id)));
        let (cx, id) = (self.looking(), uuid(id).ok_or_else(none)?);
        let found = cx.run(self.cloud.volume(&cx, by, &id)).await.map_err(|error| Failure::of_cloud(&error))?;
        found.ok_or_else(none)
    }

    /// A record that is kept although the answer of the state was lost would be taken up as interrupted; it is taken back instead.
    pub(in crate::openstack) async fn create_surely<R: Kept>(&self, record: &R) -> Result<(), Failure> {
        if let Err(error) = self.create(record).await {
            let _ = self.forget(record).await;
            return Err(Failure::internal(&error));
        }
        Ok(())
    }

    pub(in crate::openstack) fn new_volume_backup(&self, new: &NewBackup<'_>) -> Result<VolumeBackup, Failure> {
        let NewBackup { project, volume, order, .. } = *new;
        Ok(VolumeBackup {
            id: self.new_id(),
            name: order.name.clone(),
            project_id: project.to_owned(),
            volume_id: volume.id.clone(),
            volume_name: volume.name.clone(),
            volume_type: volume.volume_type.clone(),
            size: None,
            source_zone: None,
            plan_id: order.plan_id.clone(),
            retention: order.retention,
            property: order.property.clone(),
            incremental: order.incremental,
            snapshot_id: String::new(),
            copy_zone: order.copy_zone.clone(),
            copy_project: order.copy_project.clone(),
            copy_id: None,
            created_at: self.now(),
            updated_at: None,
            status: Status::Building,
            fail_reason: None,
            owner: Some(self.owner.name().to_owned()),
            instance_backup: new.instance_backup.clone(),
            set: set(project, &volume.id)?,
            links: Vec::new(),
            old_links: Vec::new(),
            old_bases: Vec::new(),
            pending: Some(Pending::new(self.new_id())),
            snapshots: Vec::new(),
            moving: None,
        })
    }

    /// Another zone announces a backup of its own. Its data does not come over this API.
    async fn import_volume_backup(&self, caller: &Caller, order: Order) -> Result<String, Failure> {
        if !caller.is_admin {
            return Err(Failure::forbidden("Argument source_zone needs the role admin!"));
        }
        let project = if order.project_id.is_empty() { caller.project_id.as_str() } else { order.project_id.as_str() };
        if !is_project(project) {
            return Err(Failure::bad("Argument project_id is invalid!"));
        }
        if !order.snapshot_id.is_empty() && uuid(&order.snapshot_id).is_none() {
            return Err(Failure::bad("Argument snapshot_id is invalid!"));
        }
        let none = || Failure::not_found(format!("Volume {} is not found!", shown(&order.volume_id)));
        let mut volume = Volume::new(uuid(&order.volume_id).ok_or_else(none)?, "", order.size);
        volume.name.clone_from(&order.volume_name);
        volume.volume_type.clone_from(&order.volume_type);
        let _lock = self.lock_project(project).await?;
        let new = NewBackup { project, volume: &volume, order: &order, instance_backup: None };
        let mut record = self.new_volume_backup(&new)?;
        (record.status, record.owner, record.pending) = (Status::Importing, None, None);
        record.size = Some(order.size).filter(|size| *size > 0);
        record.source_zone = Some(order.source_zone);
        record.snapshot_id = order.snapshot_id;
        self.create_surely(&record).await?;
        Ok(record.id)
    }
}
