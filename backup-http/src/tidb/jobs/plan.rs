//! What kind of backup it will be.

use backup_core::{BackupId, Position, Result, SetName};

use super::{LOOK, Order};
use crate::tidb::errors::{Failure, PARAMETER, UNRECOGNIZED};
use crate::tidb::record::BackupType;
use crate::tidb::{Cluster, Inner};

/// What a full backup instead of an incremental one is called.
const INSTEAD: &str = "a full backup was made instead of an incremental one";

/// What a backup builds on.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) kind: BackupType,
    /// The backup that an incremental one adds to, and its position.
    pub(super) parent: Option<(BackupId, u64)>,
    /// Why it is another kind than was asked for.
    pub(super) warning: Option<String>,
}

impl Plan {
    const FULL: Self = Self { kind: BackupType::Full, parent: None, warning: None };

    /// A full one, because what the incremental one needs is gone.
    pub(super) fn full_instead(why: &str) -> Self {
        Self { warning: Some(format!("{INSTEAD}: {why}")), ..Self::FULL }
    }
}

impl Inner {
    /// What a backup that is asked for builds on, while the cluster is locked.
    pub(super) async fn plan(&self, cluster: &dyn Cluster, order: &Order) -> Result<Plan, Failure> {
        if order.kind == BackupType::Full {
            return Ok(Plan::FULL);
        }
        let parent = self.parent(cluster).await.map_err(|error| UNRECOGNIZED.caused(&error))?;
        let (id, since) = parent.ok_or_else(|| {
            PARAMETER.because(format!("the cluster {} has no finished backup that an incremental one could add to", cluster.id()))
        })?;
        let cx = self.repository.context().with_limit(LOOK);
        match cx.run(cluster.gc_safe_point(&cx)).await {
            Ok(Some(safe_point)) if safe_point > since => Ok(Plan::full_instead(&format!(
                "the GC safe point {safe_point} has passed the last backup's position {since}; raise tidb_gc_life_time above the time between two backups"
            ))),
            Ok(_) => Ok(Plan { kind: BackupType::Incr, parent: Some((id, since)), warning: None }),
            Err(error) => {
                // BR itself knows, and says it.
                tracing::warn!(cluster = cluster.id(), %error, "the GC safe point could not be looked up; the incremental backup is tried");
                Ok(Plan { kind: BackupType::Incr, parent: Some((id, since)), warning: None })
            }
        }
    }

    /// The newest good backup of a cluster, with its position.
    async fn parent(&self, cluster: &dyn Cluster) -> Result<Option<(BackupId, u64)>> {
        let (cx, set) = (self.repository.context().with_limit(LOOK), SetName::new(cluster.id())?);
        let backups = cx.run(self.repository.list(&cx, &set)).await?;
        Ok(backups.iter().rev().filter(|info| info.is_good()).find_map(|info| match info.revision.as_ref()?.position {
            Position::Number(tso) => Some((info.id.clone(), tso)),
            Position::Name(_) => None,
        }))
    }
}
