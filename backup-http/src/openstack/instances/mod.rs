//! Instances: snapshots and backups of all their volumes, and rollback to such a snapshot.

mod backup;
mod delete;
mod order;
mod restore;
mod rollback;
mod snapshot;
mod together;
mod update;

pub(super) use order::{BackupOrder, SnapshotOrder as InstanceSnapshotOrder};
pub(super) use restore::RestoreMembers;
