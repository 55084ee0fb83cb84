//! What a `PUT` changes.

use std::sync::Arc;

use super::moving::check_still;
use super::order::{check_name, check_text, count};
use crate::openstack::body::Fields;
use crate::openstack::errors::Failure;
use crate::openstack::id::{is_project, uuid};
use crate::openstack::record::{InstanceBackup, Status, VolumeBackup};
use crate::openstack::{Caller, Inner};

/// What the body of a request says.
#[derive(Debug, Clone, Default)]
pub(in crate::openstack) struct Change {
    name: String,
    status: Option<Status>,
    snapshot_id: String,
    retention: u64,
    project_id: String,
    needs_admin: bool,
}

impl Change {
    /// # Errors
    /// 422 for a wrong shape, 400 for a wrong value.
    pub(in crate::openstack) fn read(mut fields: Fields) -> Result<Self, Failure> {
        let (name, status, snapshot_id) = (fields.text("name"), fields.text("status"), fields.text("snapshot_id"));
        let (retention, _) = (fields.number("retention"), fields.flag("incremental"));
        let (project_id, source_zone) = (fields.text("project_id"), fields.text("source_zone"));
        fields.end()?;
        if !name.is_empty() {
            check_name(&name)?;
        }
        check_text("source_zone", &source_zone)?;
        let invalid = |what: &str| Failure::bad(format!("Argument {what} is invalid!"));
        if !project_id.is_empty() && !is_project(&project_id) {
            return Err(invalid("project_id"));
        }
        if !snapshot_id.is_empty() && uuid(&snapshot_id).is_none() {
            return Err(invalid("snapshot_id"));
        }
        let needs_admin = ![&status, &snapshot_id, &project_id, &source_zone].into_iter().all(String::is_empty);
        let status = match status.as_str() {
            "" => None,
            "active" => Some(Status::Active),
            "error" => Some(Status::Error),
            _ => return Err(invalid("status")),
        };
        Ok(Self { name, status, snapshot_id, retention: count("retention", retention)?, project_id, needs_admin })
    }

    /// # Errors
    /// 403 for what a member of a project may not change.
    pub(in crate::openstack) fn check_allowed(&self, caller: &Caller) -> Result<(), Failure> {
        match self.needs_admin && !caller.is_admin {
            true => Err(Failure::forbidden("Only name and retention can be changed without the role admin!")),
            false => Ok(()),
        }
    }

    fn moves_from(&self, project: &str) -> bool {
        !self.project_id.is_empty() && self.project_id != project
    }

    fn changes_status(&self, status: Status) -> Result<Option<Status>, Failure> {
        match self.status {
            Some(new) if matches!(status, Status::Active | Status::Error | Status::Importing) => Ok(Some(new)),
            Some(_) => Err(Failure::conflict(format!("The backup is {}!", status.as_str()))),
            None => Ok(None),
        }
    }
}

impl Inner {
    pub(in crate::openstack) async fn change_volume_backup(
        self: &Arc<Self>,
        caller: &Caller,
        id: &str,
        change: Change,
    ) -> Result<String, Failure> {
        let record = self.visible::<VolumeBackup>(caller, id).await?;
        change.check_allowed(caller)?;
        let moves = change.moves_from(&record.project_id);
        if moves {
            self.check_movable(&record).await?;
        }
        let amended = self.amend::<VolumeBackup>(&record.project_id, &record.id, |record| {
            check_still(record)?;
            if let Some(status) = change.changes_status(record.status)? {
                if status == Status::Active && !record.is_whole() {
                    return Err(Failure::conflict(format!("Volume backup {} is not whole!", record.id)));
                }
                record.status = status;
            }
            if !change.snapshot_id.is_empty() {
                if record.incremental && record.source_zone.is_none() {
                    let what = "The base snapshot of an incremental backup cannot be changed!";
                    return Err(Failure::conflict(what));
                }
                record.snapshot_id.clone_from(&change.snapshot_id);
            }
            if !change.name.is_empty() {
                record.name.clone_from(&change.name);
            }
            if change.retention > 0 && !record.incremental {
                record.retention = change.retention;
            }
            Ok(())
        });
        let none = || Failure::not_found(format!("Volume backup {} is not found!", record.id));
        let record = amended.await?.ok_or_else(none)?;
        if moves {
            self.move_volume_backup(&record, &change.project_id).await?;
        } else if change.retention > 0 {
            self.retain::<VolumeBackup>(&record.project_id, &record.id).await;
        }
        Ok(record.id)
    }

    pub(in crate::openstack) async fn change_instance_backup(
        self: &Arc<Self>,
        caller: &Caller,
        id: &str,
        change: Change,
    ) -> Result<String, Failure> {
        let record = self.visible::<InstanceBackup>(caller, id).await?;
        change.check_allowed(caller)?;
        if change.moves_from(&record.project_id) {
            let what = format!("Instance backup {} stays in its project, as its volume backups do!", record.id);
            return Err(Failure::conflict(what));
        }
        let whole = match change.status {
            Some(Status::Active) => self.members_are_active(&record).await?,
            _ => true,
        };
        let amended = self.amend::<InstanceBackup>(&record.project_id, &record.id, |record| {
            if let Some(status) = change.changes_status(record.status)? {
                if !whole {
                    return Err(Failure::conflict(format!("Instance backup {} is not whole!", record.id)));
                }
                record.status = status;
            }
            if !change.name.is_empty() {
                record.name.clone_from(&change.name);
            }
            if change.retention > 0 && !record.incremental {
                record.retention = change.retention;
            }
            Ok(())
        });
        let none = || Failure::not_found(format!("Instance backup {} is not found!", record.id));
        let record = amended.await?.ok_or_else(none)?;
        if change.retention > 0 {
            self.retain::<InstanceBackup>(&record.project_id, &record.id).await;
        }
        Ok(record.id)
    }
}
