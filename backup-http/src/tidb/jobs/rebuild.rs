//! Records of backups that the state does not know: it was lost, the backups were not.

use std::sync::Arc;

use backup_core::repository::BackupInfo;
use backup_core::state::Expected;
use backup_core::{Manifest, Result, SetName};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::LOOK;
use super::backup::{CREATED_LABEL, ID_LABEL, MODE_LABEL, TYPE_LABEL};
use super::recover::END;
use crate::kept;
use crate::tidb::Inner;
use crate::tidb::id::RecordId;
use crate::tidb::record::{BackupType, Mode, Record, Status};

/// Under this prefix of the state a cluster is noted whose records were made of its manifests once.
pub(super) const REBUILT: &str = "tidb/rebuilt/";

impl Inner {
    /// Makes the records of the finished backups of a cluster that has none in the state, once in the life of the state.
    pub(super) async fn rebuild(&self, cluster: &str) -> Result<()> {
        let (cx, set) = (self.repository.context(), SetName::new(cluster)?);
        let backups = self.listed(&set).await?;
        let mut made = 0_u64;
        for info in backups.iter().filter(|info| info.state.is_published()) {
            let cx = cx.with_limit(LOOK);
            let manifest = cx.run(self.repository.manifest(&cx, &set, &info.id)).await?;
            let Some(record) = self.record_of(cluster, info, &manifest) else { continue };
            if self.records.get(record.id).await?.is_none() && self.records.create(&record).await? {
                made += 1;
            }
        }
        if made > 0 {
            tracing::warn!(
                cluster,
                made,
                "records of finished backups were made of their manifests: the state did not know them"
            );
        }
        kept::set(&*self.state, &format!("{REBUILT}{cluster}"), Expected::Any, &self.now()).await.map(drop)
    }

    /// The record of a published backup, as its manifest tells it; `None` when no record belonged to it.
    fn record_of(&self, cluster: &str, info: &BackupInfo, manifest: &Manifest) -> Option<Record> {
        let label = |name: &str| manifest.labels.get(name).and_then(Value::as_str);
        let id = RecordId::parse(label(ID_LABEL)?)?;
        let directory = manifest.prefix.as_str().strip_prefix(cluster)?.trim_matches('/').to_owned();
        let created_at = label(CREATED_LABEL).and_then(|time| time.parse::<DateTime<Utc>>().ok()).unwrap_or(manifest.created_at);
        let mut record = Record {
            id,
            cluster: cluster.to_owned(),
            kind: if label(TYPE_LABEL) == Some("incr") { BackupType::Incr } else { BackupType::Full },
            mode: if label(MODE_LABEL) == Some("auto") { Mode::Auto } else { Mode::Manual },
            status: Status::Finished,
            path: self.path_of(cluster, &directory),
            directory,
            size: 0,
            tso: 0,
            started_at: created_at,
            ended_at: created_at,
            created_at,
            updated_at: created_at,
            message: None,
            backup: None,
        };
        manifest.warnings.iter().for_each(|warning| record.note(warning));
        record.finish(info, manifest.published_at);
        Some(record)
    }

    /// The published backup of a record whose end was not recorded.
    pub(super) async fn published(&self, record: &Record) -> Result<Option<Arc<BackupInfo>>> {
        let (cx, set) = (self.repository.context(), SetName::new(record.cluster.as_str())?);
        let directory = Self::prefix(&record.cluster, &record.directory)?;
        for info in self.listed(&set).await?.iter().rev().filter(|info| info.state.is_published()) {
            let found = match &info.first_key {
                Some(key) => key.strip_prefix(&directory).is_some(),
                // It has more artifacts than its manifest names.
                None => {
                    let cx = cx.with_limit(LOOK);
                    cx.run(self.repository.manifest(&cx, &set, &info.id)).await?.prefix == directory
                }
            };
            if found {
                return Ok(Some(Arc::clone(info)));
            }
        }
        Ok(None)
    }

    /// The backups of a cluster. A store that does not answer is no reason to wait for ever.
    async fn listed(&self, set: &SetName) -> Result<Vec<Arc<BackupInfo>>> {
        let cx = self.repository.context().with_limit(END);
        cx.run(self.repository.list(&cx, set)).await
    }
}
