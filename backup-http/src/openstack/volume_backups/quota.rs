//! How many objects a project may have.

use crate::openstack::errors::Failure;
use crate::openstack::locks::{self, Lock};
use crate::openstack::record::{Kept, Status, VolumeBackup};
use crate::openstack::{Inner, LOOK, Principal, Resource, SuccessCodes};

impl Inner {
    /// The limit of a project; asked for before the project is locked.
    pub(in crate::openstack) async fn limit(&self, by: &Principal, resource: Resource) -> Result<Option<u64>, Failure> {
        let cx = self.looking();
        cx.run(self.cloud.limit(&cx, by, resource)).await.map_err(|error| Failure::of_cloud(&error))
    }

    /// Whoever counts the objects of a project and adds one holds this lock: two at once never exceed a limit together.
    pub(in crate::openstack) async fn lock_project(&self, project: &str) -> Result<Lock, Failure> {
        let lock = self.locks.lock(&locks::project(project), LOOK).await.map_err(|error| Failure::internal(&error))?;
        lock.ok_or_else(|| Failure::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "The project is busy, try again later!"))
    }

    /// Under the project's lock: whether `more` objects still go in.
    pub(in crate::openstack) async fn check_quota<R: Kept>(
        &self,
        project: &str,
        limit: Option<u64>,
        more: usize,
    ) -> Result<(), Failure> {
        let Some(limit) = limit else { return Ok(()) };
        let count = self.all::<R>(Some(project)).await.map_err(|error| Failure::internal(&error))?.len();
        if (count + more) as u64 <= limit {
            return Ok(());
        }
        let message = match self.success_codes {
            SuccessCodes::Documented => format!("{} {count} reach the limit {limit}!", R::WHAT),
            SuccessCodes::Original => format!("{} {count} reach the limit!", R::WHAT),
        };
        Err(Failure::new(self.success_codes.over_quota(), message))
    }

    /// Under the project's lock: a volume has one incremental backup in a project. One that failed, or is being removed, does not count, nor
    /// do members of instance backups: each has a chain and a base of its own.
    pub(in crate::openstack) async fn check_only_incremental(
        &self,
        project: &str,
        volume: &str,
        but: Option<&str>,
    ) -> Result<(), Failure> {
        let all = self.all::<VolumeBackup>(Some(project)).await.map_err(|error| Failure::internal(&error))?;
        let counts = |record: &&VolumeBackup| {
            let other = but != Some(record.id.as_str());
            let there = !matches!(record.status, Status::Error | Status::Deleting);
            let own = record.source_zone.is_none() && record.instance_backup.is_none();
            record.incremental && own && record.volume_id == volume && other && there
        };
        match all.iter().find(counts) {
            Some(found) => Err(Failure::conflict(format!("Incremental backup {} is on this volume.", found.name))),
            None => Ok(()),
        }
    }
}
