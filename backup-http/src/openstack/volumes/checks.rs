//! Whether a volume can be rolled back now.

use crate::openstack::errors::{Failure, shown};
use crate::openstack::id::uuid;
use crate::openstack::{Inner, Principal, Server, Snapshot, Volume};

impl Inner {
    /// A volume that nothing writes to: available, or attached to instances that are off.
    ///
    /// # Errors
    /// 404, 409; those of the cloud.
    pub(in crate::openstack) async fn quiet_volume(&self, by: &Principal, id: &str) -> Result<Volume, Failure> {
        let volume = self.volume(by, id).await?;
        let refused = || Failure::conflict(format!("Volume {} is not available or in-use!", volume.id));
        match volume.status.as_str() {
            "available" => return Ok(volume),
            "in-use" if !volume.attachments.is_empty() => {}
            _ => return Err(refused()),
        }
        for attachment in &volume.attachments {
            let server = attachment.server_id.as_deref().ok_or_else(refused)?;
            self.off_server(by, server).await?;
        }
        Ok(volume)
    }

    /// # Errors
    /// 404; those of the cloud.
    pub(in crate::openstack) async fn server(&self, by: &Principal, id: &str) -> Result<Option<Server>, Failure> {
        let (cx, Some(id)) = (self.looking(), uuid(id)) else { return Ok(None) };
        cx.run(self.cloud.server(&cx, by, &id)).await.map_err(|error| Failure::of_cloud(&error))
    }

    /// An instance that is off.
    ///
    /// # Errors
    /// 404, 409; those of the cloud.
    pub(in crate::openstack) async fn off_server(&self, by: &Principal, id: &str) -> Result<Server, Failure> {
        let none = || Failure::not_found(format!("Instance {} is not found!", shown(id)));
        let server = self.server(by, id).await?.ok_or_else(none)?;
        match server.status.as_str() {
            "SHUTOFF" => Ok(server),
            _ => Err(Failure::conflict(format!("Instance {} is not SHUTOFF!", server.id))),
        }
    }

    /// A snapshot of that volume that can be read.
    ///
    /// # Errors
    /// 404, also for one of another volume, 409; those of the cloud.
    pub(in crate::openstack) async fn snapshot_of(&self, by: &Principal, volume: &Volume, id: &str) -> Result<Snapshot, Failure> {
        let none = || Failure::not_found(format!("Volume snapshot {} is not found!", shown(id)));
        let (cx, known) = (self.looking(), uuid(id).ok_or_else(none)?);
        let found = cx.run(self.cloud.snapshot(&cx, by, &known)).await.map_err(|error| Failure::of_cloud(&error))?;
        let snapshot = found.filter(|snapshot| snapshot.volume_id == volume.id).ok_or_else(none)?;
        match snapshot.status.as_str() {
            "available" => Ok(snapshot),
            _ => Err(Failure::conflict(format!("Volume snapshot {} is not available!", snapshot.id))),
        }
    }
}
