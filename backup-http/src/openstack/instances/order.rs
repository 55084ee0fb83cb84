//! An instance backup or snapshot that is asked for.

use serde_json::Value;

use crate::openstack::body::Fields;
use crate::openstack::errors::{Failure, shown};
use crate::openstack::id::uuid;
use crate::openstack::volume_backups::{check_copy, check_name, check_text, count};
use crate::openstack::{Inner, Principal, Server};

/// The states of an instance in which its volumes can be taken.
const ACCEPTED: [&str; 4] = ["ACTIVE", "SHUTOFF", "SUSPENDED", "PAUSED"];

/// What the body of a request for a snapshot says.
#[derive(Debug, Clone)]
pub(in crate::openstack) struct SnapshotOrder {
    pub(super) name: String,
    pub(super) instance_id: String,
    pub(super) plan_id: String,
    pub(super) retention: u64,
}

impl SnapshotOrder {
    /// # Errors
    /// 422 for a wrong shape, 400 for a wrong value.
    pub(in crate::openstack) fn read(mut fields: Fields) -> Result<Self, Failure> {
        let (name, instance_id) = (fields.required("name"), fields.required("instance_id"));
        let (plan_id, retention) = (fields.text("plan_id"), fields.number("retention"));
        fields.end()?;
        check_name(&name)?;
        check_text("plan_id", &plan_id)?;
        Ok(Self { name, instance_id, plan_id, retention: count("retention", retention)? })
    }
}

/// What the body of a request for a backup says.
#[derive(Debug, Clone)]
pub(in crate::openstack) struct BackupOrder {
    pub(super) name: String,
    pub(super) instance_id: String,
    pub(super) instance_name: String,
    pub(super) plan_id: String,
    pub(super) retention: u64,
    pub(super) incremental: bool,
    pub(super) copy_zone: String,
    pub(super) copy_project: String,
    pub(super) source_zone: String,
    pub(super) project_id: String,
    pub(super) volume_backup_ids: Vec<Value>,
}

impl BackupOrder {
    /// # Errors
    /// 422 for a wrong shape, 400 for a wrong value.
    pub(in crate::openstack) fn read(mut fields: Fields) -> Result<Self, Failure> {
        let retention = fields.number("retention");
        fields.number("size");
        fields.text("property");
        let order = Self {
            name: fields.required("name"),
            instance_id: fields.text("instance_id"),
            instance_name: fields.text("instance_name"),
            plan_id: fields.text("plan_id"),
            retention: 0,
            incremental: fields.flag("incremental"),
            copy_zone: fields.text("copy_zone"),
            copy_project: fields.text("copy_project"),
            source_zone: fields.text("source_zone"),
            project_id: fields.text("project_id"),
            volume_backup_ids: fields.list("volume_backup_ids"),
        };
        fields.end()?;
        check_name(&order.name)?;
        for (name, text) in [
            ("plan_id", &order.plan_id),
            ("instance_name", &order.instance_name),
            ("copy_zone", &order.copy_zone),
            ("copy_project", &order.copy_project),
            ("source_zone", &order.source_zone),
        ] {
            check_text(name, text)?;
        }
        check_copy(&order.copy_zone, &order.copy_project)?;
        Ok(Self { retention: count("retention", retention)?, ..order })
    }
}

impl Inner {
    /// An instance whose volumes can be taken. `word` is what the refusal calls one without volumes.
    ///
    /// # Errors
    /// 400, as the original says all of it; those of the cloud.
    pub(super) async fn takeable_server(&self, by: &Principal, id: &str, word: &str) -> Result<Server, Failure> {
        let server = self.server(by, id).await?;
        let server = server.ok_or_else(|| Failure::bad(format!("Instance ID {} is invalid!", shown(id))))?;
        if !ACCEPTED.contains(&server.status.as_str()) {
            let accepted = ACCEPTED.map(|status| format!("'{status}'")).join(", ");
            return Err(Failure::bad(format!("Instance {} status {} not in [{accepted}]!", server.id, server.status)));
        }
        if server.volumes.is_empty() || server.volumes.iter().any(|volume| uuid(volume).is_none()) {
            return Err(Failure::bad(format!("{word} {} has no volumes attached!", server.id)));
        }
        Ok(server)
    }
}
