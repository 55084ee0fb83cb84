//! The list of snapshots of a volume backup: what another zone says of those that came along with it.

use super::order::check_text;
use crate::openstack::body::Fields;
use crate::openstack::errors::{Failure, shown};
use crate::openstack::id::uuid;
use crate::openstack::record::{SnapshotRow, VolumeBackup};
use crate::openstack::{Caller, Inner};

/// Rows of a backup at most.
const MOST: usize = 1000;

impl Inner {
    /// Adds a row, and answers with its id. The same snapshot twice is one row.
    pub(in crate::openstack) async fn add_snapshot(
        &self,
        caller: &Caller,
        id: &str,
        mut fields: Fields,
    ) -> Result<String, Failure> {
        let (snapshot, name, timestamp) = (fields.required("id"), fields.text("name"), fields.text("timestamp"));
        fields.end()?;
        check_text("name", &name)?;
        check_text("timestamp", &timestamp)?;
        let record = self.visible::<VolumeBackup>(caller, id).await?;
        let snapshot = uuid(&snapshot).ok_or_else(|| Failure::bad("Argument id is invalid!"))?;
        let mut row = SnapshotRow { id: self.new_id(), snapshot_id: snapshot, name, timestamp };
        let amended = self.amend::<VolumeBackup>(&record.project_id, &record.id, |record| {
            if let Some(known) = record.snapshots.iter_mut().find(|known| known.snapshot_id == row.snapshot_id) {
                row.id.clone_from(&known.id);
                *known = row.clone();
                return Ok(());
            }
            if record.snapshots.len() >= MOST {
                return Err(Failure::conflict(format!("Volume backup {} has {MOST} snapshots already!", record.id)));
            }
            record.snapshots.push(row.clone());
            Ok(())
        });
        let amended = amended.await?;
        amended.map(|_| row.id).ok_or_else(|| Failure::not_found(format!("Volume backup {} is not found!", record.id)))
    }

    /// Removes a row by the id of its snapshot, or its own.
    pub(in crate::openstack) async fn remove_snapshot(&self, caller: &Caller, id: &str, snapshot: &str) -> Result<(), Failure> {
        let record = self.visible::<VolumeBackup>(caller, id).await?;
        let none = || Failure::not_found(format!("Snapshot {} is not found!", shown(snapshot)));
        let wanted = uuid(snapshot).ok_or_else(none)?;
        self.amend::<VolumeBackup>(&record.project_id, &record.id, |record| {
            let before = record.snapshots.len();
            record.snapshots.retain(|row| row.snapshot_id != wanted && row.id != wanted);
            if record.snapshots.len() == before { Err(none()) } else { Ok(()) }
        })
        .await
        .map(drop)
    }
}
