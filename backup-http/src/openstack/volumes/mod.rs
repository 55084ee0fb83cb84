//! Volumes: made from backups, and rolled back to snapshots.

mod checks;
mod restore;
mod rollback;

pub(super) use restore::{Restore, RestoreOrder};
pub(super) use rollback::{Rollback, live_id};
