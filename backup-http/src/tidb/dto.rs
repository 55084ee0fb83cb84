//! Requests and answers as they are written.

use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::record::{BackupType, Mode, Status};

/// What every answer is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Envelope<T> {
    /// 0, or the number of the error.
    pub(super) code: i64,
    /// `OK`, or what is wrong.
    pub(super) message: String,
    /// The answer itself; an empty object when there is none.
    pub(super) data: T,
    /// Only in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<Page>,
}

/// Nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Empty {}

/// Which part of a list it is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    /// Counted from 1.
    pub(super) page: u64,
    /// Records of a page.
    pub(super) page_size: u64,
    /// Records in all.
    pub(super) total: u64,
}

/// A backup.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackupRecord {
    /// 22 characters.
    pub(super) id: String,
    /// Its cluster.
    pub(super) cluster_id: String,
    /// Full, or what changed.
    pub(super) backup_type: BackupType,
    /// Always `physical`.
    pub(super) backup_method: &'static str,
    /// Who asked for it.
    pub(super) backup_mode: Mode,
    /// Where it is.
    pub(super) file_path: String,
    /// MiB.
    pub(super) size: Mebibytes,
    /// Its position, a decimal number; `0` while it is not known.
    pub(super) backup_tso: String,
    /// Where it stands.
    pub(super) status: Status,
    /// When it began.
    pub(super) start_time: String,
    /// When it ended; while it has not, when it began.
    pub(super) end_time: String,
    /// When it was asked for.
    pub(super) create_time: String,
    /// When something of it changed last.
    pub(super) update_time: String,
    /// Always Go's zero time.
    pub(super) delete_time: &'static str,
    /// Why it failed, or what else somebody should read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
}

/// Bytes in MiB as Go writes a float32: the shortest text that reads back as the same, and no fraction where there is none.
#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(value_type = f32)]
pub(super) struct Mebibytes(pub(super) u64);

impl Serialize for Mebibytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % (1 << 20) {
            0 => serializer.serialize_u64(self.0 >> 20),
            // What a float32 can hold is what the original answers.
            _ => serializer.serialize_f32((self.0 as f64 / f64::from(1 << 20)) as f32),
        }
    }
}

/// A list of backups.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Records {
    /// The newest first.
    pub(super) backup_records: Vec<BackupRecord>,
}

/// A backup that was taken on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Accepted {
    /// For `GET /workflow/…`.
    pub(super) work_flow_id: String,
    /// The id of its record.
    pub(super) backup_id: String,
}

/// A restore that was taken on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Restoring {
    /// For `GET /workflow/…`.
    pub(super) work_flow_id: String,
    /// The cluster that is restored.
    pub(super) cluster_id: String,
}

/// A strategy in its answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StrategyAnswer {
    /// The strategy.
    pub(super) strategy: StrategyShown,
}

/// When a cluster is backed up by itself.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StrategyShown {
    /// The cluster.
    pub(super) cluster_id: String,
    /// Days of the week with commas between them; empty for never.
    pub(super) backup_date: String,
    /// From which hour to which.
    pub(super) period: String,
}

/// A backup or a restore in its answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkflowAnswer {
    /// What it is.
    pub(super) info: WorkflowInfo,
}

/// A backup or a restore.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkflowInfo {
    /// Its id.
    pub(super) id: String,
    /// `BackupCluster` or `RestoreCluster`.
    pub(super) name: &'static str,
    /// The cluster.
    pub(super) biz_id: String,
    /// Always `cluster`.
    pub(super) biz_type: &'static str,
    /// The backup.
    pub(super) backup_id: String,
    /// Where it stands.
    pub(super) status: Status,
    /// What runs just now, as the program says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<String>,
    /// Why it failed, or what else somebody should read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// When it was asked for.
    pub(super) create_time: String,
    /// When something of it changed last.
    pub(super) update_time: String,
    /// Always Go's zero time.
    pub(super) delete_time: &'static str,
}

/// Asks for a backup.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackupOrder {
    /// The cluster.
    pub(super) cluster_id: Option<String>,
    /// `full`, which is the default, or `incr`.
    pub(super) backup_type: Option<String>,
    /// `manual`, which is the default, or `auto`.
    pub(super) backup_mode: Option<String>,
}

/// Names a backup of a cluster.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackupName {
    /// The cluster.
    pub(super) cluster_id: Option<String>,
    /// The id of the record.
    pub(super) backup_id: Option<String>,
}

/// Sets when a cluster is backed up by itself.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct StrategyOrder {
    /// The strategy.
    pub(super) strategy: Option<StrategyGiven>,
}

/// When a cluster is backed up by itself.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StrategyGiven {
    /// Names of weekdays with commas between them: `Monday,Tuesday`; empty for never.
    pub(super) backup_date: Option<String>,
    /// From which hour to which: `7:00-9:00`.
    pub(super) period: Option<String>,
}

/// Chooses records, in the body of the `GET`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryBody {
    pub(super) cluster_id: Option<String>,
    pub(super) backup_id: Option<String>,
    pub(super) start_time: Option<i64>,
    pub(super) end_time: Option<i64>,
    pub(super) page: Option<i64>,
    pub(super) page_size: Option<i64>,
}
