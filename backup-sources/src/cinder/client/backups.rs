//! Cinder's own backups: what its own service makes, and takes over.

use backup_core::{JobContext, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::page::Listed;
use super::request::Ask;
use super::volumes::or_default;
use super::{Cinder, check_id};

/// A backup of Cinder's own service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Backup {
    /// Its id.
    pub id: String,
    /// Its name; empty without one.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Its state: `available`, `creating`, `restoring`, `error` …
    pub status: String,
    /// Why it is in the state `error`.
    pub fail_reason: Option<String>,
    /// The volume that it is of.
    pub volume_id: String,
    /// The snapshot that it was read from.
    pub snapshot_id: Option<String>,
    /// The size of the volume in GiB.
    pub size: u64,
    /// Where it lies.
    pub container: Option<String>,
    /// How many objects it has.
    #[serde(deserialize_with = "or_default")]
    pub object_count: u64,
    /// Whether it builds on another.
    #[serde(deserialize_with = "or_default")]
    pub is_incremental: bool,
    /// Whether others build on it.
    #[serde(deserialize_with = "or_default")]
    pub has_dependent_backups: bool,
}

impl Listed for Backup {
    fn id(&self) -> &str {
        &self.id
    }
}

/// A backup to be made by Cinder's own service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CreateBackup {
    /// The volume.
    pub volume_id: String,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The container that it lies in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Whether it builds on the newest one.
    pub incremental: bool,
    /// Of a volume that is in use too.
    pub force: bool,
    /// The snapshot that is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
}

/// What Cinder's own service needs to know of a backup: what `cinder backup-export` prints, and `cinder backup-import` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// The driver that reads it.
    pub backup_service: String,
    /// The record, in base64.
    pub backup_url: String,
}

#[derive(Deserialize)]
struct Shown {
    backup: Backup,
}

#[derive(Deserialize)]
struct Made {
    backup: MadeId,
}

#[derive(Deserialize)]
struct MadeId {
    id: String,
}

impl Cinder {
    /// Shows a backup.
    ///
    /// # Errors
    /// `cinder.not_found`; as every call.
    pub async fn backup(&self, cx: &JobContext, id: &str) -> Result<Backup> {
        let path = format!("/backups/{}", check_id("backup", id)?);
        let shown: Shown = self.read(cx, Ask::get("ShowBackup", path, format!("showing the backup {id}"))).await?;
        Ok(shown.backup)
    }

    /// Lists the backups of the project.
    ///
    /// # Errors
    /// As every call.
    pub async fn backups(&self, cx: &JobContext) -> Result<Vec<Backup>> {
        self.list(cx, "ListBackups", "/backups/detail", "backups", &[]).await
    }

    /// Orders a backup; its id.
    ///
    /// # Errors
    /// `cinder.quota`, `cinder.state`; as every call.
    pub async fn create_backup(&self, cx: &JobContext, backup: &CreateBackup) -> Result<String> {
        let doing = format!("making a backup of the volume {}", check_id("volume", &backup.volume_id)?);
        let body = json!({ "backup": backup });
        let made: Made = self.read(cx, Ask::make("CreateBackup", "/backups".to_owned(), body, doing)).await?;
        Ok(made.backup.id)
    }

    /// Orders that a backup be restored, into a volume that is `available`, or into a new one; the volume's id.
    ///
    /// # Errors
    /// `cinder.state`; as every call.
    pub async fn restore_backup(&self, cx: &JobContext, id: &str, volume: Option<&str>) -> Result<String> {
        #[derive(Deserialize)]
        struct Answer {
            restore: Ordered,
        }
        #[derive(Deserialize)]
        struct Ordered {
            volume_id: String,
        }
        let path = format!("/backups/{}/restore", check_id("backup", id)?);
        let target = volume.map(|volume| check_id("volume", volume)).transpose()?;
        let body = json!({ "restore": { "volume_id": target } });
        let doing = format!("restoring the backup {id}");
        let answer: Answer = self.read(cx, Ask::make("RestoreBackup", path, body, doing)).await?;
        Ok(answer.restore.volume_id)
    }

    /// Orders that a backup be deleted. `false` when it was gone already.
    ///
    /// # Errors
    /// `cinder.state`; as every call.
    pub async fn delete_backup(&self, cx: &JobContext, id: &str) -> Result<bool> {
        let path = format!("/backups/{}", check_id("backup", id)?);
        let deleted = self.ask(cx, Ask::delete("DeleteBackup", path, format!("deleting the backup {id}"))).await;
        self.ordered(deleted.map(drop), async { Ok(self.backup(cx, id).await?.status) }).await
    }

    /// What another Cinder needs to know of a backup. For admins.
    ///
    /// # Errors
    /// As every call.
    pub async fn export_backup(&self, cx: &JobContext, id: &str) -> Result<BackupRecord> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "backup-record")]
            record: BackupRecord,
        }
        let path = format!("/backups/{}/export_record", check_id("backup", id)?);
        let answer: Answer = self.read(cx, Ask::get("ExportBackup", path, format!("exporting the backup {id}"))).await?;
        Ok(answer.record)
    }

    /// Makes a backup known to Cinder; its id. For admins.
    ///
    /// # Errors
    /// `cinder.refused` for a record that is none; as every call.
    pub async fn import_backup(&self, cx: &JobContext, record: &BackupRecord) -> Result<String> {
        let body = json!({ "backup-record": record });
        let doing = "importing a backup".to_owned();
        let made: Made = self.read(cx, Ask::make("ImportBackup", "/backups/import_record".to_owned(), body, doing)).await?;
        Ok(made.backup.id)
    }
}
