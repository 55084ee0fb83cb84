//! From what the service knows to what the dialect tells.

use std::sync::Arc;

use backup_core::repository::BackupInfo;
use chrono::{DateTime, Local, SecondsFormat, Utc};

use super::dto::{BackupStatus, ServiceStatus};
use super::naming::{FileName, written_at};
use super::pick;

/// The status of a backup, rebuilt from what is stored of it.
pub(super) fn backup_status(info: &BackupInfo) -> BackupStatus {
    let name = FileName::of(info);
    let revision = name.map_or(0, |name| name.revision);
    BackupStatus {
        creation_time: local(info.published_at.unwrap_or_else(|| written_at(info.created_at))),
        size: megabytes(info.stored_size),
        revision: i64::try_from(revision).unwrap_or(i64::MAX),
        version: name.map(|name| name.plain_version().to_owned()).or_else(|| info.version.clone()).unwrap_or_default(),
        // How long an adopted file took nobody knows.
        time_took_in_second: info.published_at.map_or(1, |end| (end - info.created_at).num_seconds().max(0) + 1),
    }
}

pub(super) fn service_status(backups: &[Arc<BackupInfo>]) -> ServiceStatus {
    let files = || backups.iter().filter(|info| FileName::of(info).is_some());
    ServiceStatus {
        recent_backup: pick::latest(backups).map(|info| backup_status(info)),
        backups: files().count() as u64,
        backup_size: megabytes(files().map(|info| info.stored_size).sum()),
    }
}

fn local(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Three decimals of 2^20 bytes.
#[allow(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
fn megabytes(bytes: u64) -> f64 {
    (bytes as f64 / 1_048_576.0 * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_to_three_decimals_of_a_megabyte() {
        for (bytes, size) in [(0, 0.0), (524, 0.0), (525, 0.001), (20512, 0.02), (1 << 20, 1.0), (3 << 19, 1.5)] {
            assert_eq!(megabytes(bytes), size, "{bytes}");
        }
    }

    #[test]
    fn whole_numbers_are_written_as_go_writes_them() {
        let status = |backup_size| ServiceStatus { recent_backup: None, backups: 2, backup_size };
        assert_eq!(serde_json::to_string(&status(1.0)).unwrap(), r#"{"backups":2,"backupSize":1}"#);
        assert_eq!(serde_json::to_string(&status(0.02)).unwrap(), r#"{"backups":2,"backupSize":0.02}"#);
    }
}
