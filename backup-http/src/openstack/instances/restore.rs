//! New volumes from the members of an instance backup.

use std::sync::Arc;

use super::backup::text;
use crate::openstack::body::Fields;
use crate::openstack::errors::{Failure, shown};
use crate::openstack::record::InstanceBackup;
use crate::openstack::volume_backups::check_text;
use crate::openstack::volumes::RestoreOrder;
use crate::openstack::{Caller, Inner};

/// What the body of a request says: which members, and what the volumes shall be called.
#[derive(Debug, Clone, Default)]
pub(in crate::openstack) struct RestoreMembers(Vec<(String, String)>);

impl RestoreMembers {
    /// # Errors
    /// 422 for a wrong shape, 400 for a wrong value.
    pub(in crate::openstack) fn read(mut fields: Fields) -> Result<Self, Failure> {
        let wanted = fields.list("volume_backups");
        fields.end()?;
        let mut members = Vec::new();
        for member in &wanted {
            let id = text(member, "id").ok_or_else(|| Failure::bad("Argument volume_backups is invalid!"))?;
            let name = text(member, "volume_name").unwrap_or_default();
            check_text("volume_name", &name)?;
            members.push((id, name));
        }
        Ok(Self(members))
    }
}

impl Inner {
    /// Makes a volume of each member that is named, or of all, and answers with their ids.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn restore_instance_backup(
        self: &Arc<Self>,
        caller: Arc<Caller>,
        id: &str,
        wanted: RestoreMembers,
    ) -> Result<Vec<String>, Failure> {
        let record = self.visible::<InstanceBackup>(&caller, id).await?;
        let is_member = |id: &str| record.members.iter().any(|member| member.id == id);
        if let Some((id, _)) = wanted.0.iter().find(|(id, _)| !is_member(id)) {
            return Err(Failure::not_found(format!("Volume backup {} is not found!", shown(id))));
        }
        let all = || record.members.iter().map(|member| (member.id.clone(), String::new())).collect();
        let wanted: Vec<(String, String)> = if wanted.0.is_empty() { all() } else { wanted.0 };
        if wanted.is_empty() {
            return Err(Failure::conflict(format!("Instance backup {} has no volume backups!", record.id)));
        }
        let mut volumes = Vec::new();
        for (backup, name) in wanted {
            match self.restore_volume(Arc::clone(&caller), RestoreOrder::of(backup, name)).await {
                Ok(volume) => volumes.push(volume),
                Err(failure) if volumes.is_empty() => return Err(failure),
                Err(failure) => {
                    let made = volumes.join(", ");
                    let message = format!("{} Volumes that are being made: {made}.", failure.message());
                    return Err(Failure::new(failure.status(), message));
                }
            }
        }
        Ok(volumes)
    }
}
