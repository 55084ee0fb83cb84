//! The JSON of the dialect, as `pkg/backup/backupapi` of the original encodes it.

use serde::{Serialize, Serializer};

/// One backup.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// When it was complete: RFC 3339, whole seconds, local time zone.
    #[schema(format = "date-time", example = "2026-11-21T09:30:00Z")]
    pub creation_time: String,
    /// Its size in MB (2^20 bytes), three decimals.
    #[serde(serialize_with = "number")]
    #[schema(example = 0.02)]
    pub size: f64,
    /// The etcd revision that it holds.
    #[schema(minimum = 0)]
    pub revision: i64,
    /// The version of the etcd cluster that it was made from.
    #[schema(example = "3.5.1")]
    pub version: String,
    /// How long making it took, rounded up to the next second.
    #[schema(minimum = 1)]
    pub time_took_in_second: i64,
}

/// All backups of the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatus {
    /// The one that `/v1/backup` serves; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub recent_backup: Option<BackupStatus>,
    /// How many there are.
    #[schema(minimum = 0)]
    pub backups: u64,
    /// Their size in all in MB (2^20 bytes), three decimals.
    #[serde(serialize_with = "number")]
    #[schema(example = 1.5)]
    pub backup_size: f64,
}

/// An etcd snapshot with its SHA-256 trailer.
#[derive(Debug, utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "describes bytes that are streamed")]
pub(super) struct Snapshot(Vec<u8>);

/// A whole number without `.0`, as Go writes it.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn number<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match number.fract() == 0.0 && number.abs() < 1e15 {
        #[allow(clippy::cast_possible_truncation, reason = "whole and small")]
        true => serializer.serialize_i64(*number as i64),
        false => serializer.serialize_f64(*number),
    }
}
