//! Volume backups: taken on, made, moved on, changed, removed.

mod change;
mod create;
mod delete;
mod link;
mod moving;
mod order;
mod point;
mod quota;
mod snapshots;
mod update;

pub(super) use change::Change;
pub(super) use create::NewBackup;
pub(super) use delete::{Removed, removal_id};
pub(super) use order::{Order, check_copy, check_name, check_text, count};
pub(super) use update::check_updatable;

use backup_core::{Error, SetName};
use tokio_util::sync::CancellationToken;

use super::Principal;
use super::errors::Failure;

/// Labels of the manifest.
pub(super) const BACKUP_LABEL: &str = "openstack-backup";
pub(super) const LINK_LABEL: &str = "openstack-link";

/// Work on a volume backup.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) by: Principal,
    pub(super) project: String,
    pub(super) id: String,
    pub(super) cancel: CancellationToken,
    /// The snapshot to read, when somebody else made it.
    pub(super) snapshot: Option<String>,
}

/// The set of a volume in the repository: one for each project that backs it up.
pub(super) fn set(project: &str, volume: &str) -> Result<SetName, Failure> {
    let failed = |error: Error| Failure::internal(&error);
    SetName::new(format!("volumes/p-{project}/v-{volume}")).map_err(failed)
}
