//! All volumes of an instance that is off, back to an instance snapshot.

use std::sync::Arc;

use crate::openstack::errors::{Failure, shown};
use crate::openstack::locks;
use crate::openstack::record::{InstanceSnapshot, Status};
use crate::openstack::{Caller, Inner, Principal};

impl Inner {
    /// Rolls back, and waits for it.
    ///
    /// # Errors
    /// 404, 409; 504 when it takes longer than requests wait. When one volume fails the others are rolled back all the same, and the answer
    /// says which failed.
    ///
    /// # Cancel safety
    /// Not cancel safe: to be called from a task that nobody drops.
    pub(in crate::openstack) async fn rollback_instance(
        self: &Arc<Self>,
        caller: Arc<Caller>,
        id: &str,
        snapshot: &str,
    ) -> Result<(), Failure> {
        let by = Principal::Caller(Arc::clone(&caller));
        let server = self.off_server(&by, id).await?;
        let none = || Failure::not_found(format!("Instance snapshot {} is not found!", shown(snapshot)));
        let record = self.visible::<InstanceSnapshot>(&caller, snapshot).await?;
        if record.instance_id != server.id {
            return Err(none());
        }
        if record.status != Status::Active {
            return Err(Failure::conflict(format!("Instance snapshot {} is {}!", record.id, record.status.as_str())));
        }
        let failed = |error| Failure::internal(&error);
        let busy = || Failure::conflict(format!("Instance {} is in use by a backup or a rollback!", server.id));
        let instance = self.locks.try_lock(&locks::instance(&server.id)).await.map_err(failed)?.ok_or_else(busy)?;
        let mut members: Vec<_> = record.members.iter().collect();
        members.sort_by(|a, b| a.volume_id.cmp(&b.volume_id));
        // All is looked at before anything is done.
        let mut ready = Vec::new();
        for member in members {
            let lock = self.lock_volume_now(&member.volume_id).await?;
            let volume = self.quiet_volume(&by, &member.volume_id).await?;
            let snapshot = self.snapshot_of(&by, &volume, &member.id).await?;
            ready.push((lock, volume, snapshot));
        }
        // All or none begins.
        let mut noted = Vec::new();
        for (lock, volume, snapshot) in ready {
            match self.note_rollback(by.clone(), volume, snapshot, lock).await {
                Ok(one) => noted.push(one),
                Err(failure) => {
                    noted.into_iter().for_each(|one| self.take_back(one));
                    return Err(failure);
                }
            }
        }
        let rolled = noted.into_iter().map(|one| self.begin_rollback(one)).collect();
        let ended = self.await_rollback(&format!("instance {}", server.id), rolled).await;
        drop(instance);
        ended
    }
}
