//! How much a project may have.

use backup_http::openstack::Resource;
use serde::Deserialize;

/// The block `quotas`. A project's own limit in Keystone wins over the registered one, and that over what stands here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Quotas {
    /// Whether Keystone's unified limits are asked.
    pub keystone: bool,
    /// The name of the service that the limits are kept by.
    pub service: String,
    /// Volume backups of a project; as many as it likes when absent.
    pub volume_backups: Option<u64>,
    /// Instance backups of a project.
    pub instance_backups: Option<u64>,
    /// Instance snapshots of a project.
    pub instance_snapshots: Option<u64>,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            keystone: true,
            service: "cms-backup".to_owned(),
            volume_backups: None,
            instance_backups: None,
            instance_snapshots: None,
        }
    }
}

impl Quotas {
    pub(super) fn of(&self, resource: Resource) -> Option<u64> {
        match resource {
            Resource::VolumeBackups => self.volume_backups,
            Resource::InstanceBackups => self.instance_backups,
            Resource::InstanceSnapshots => self.instance_snapshots,
        }
    }
}
