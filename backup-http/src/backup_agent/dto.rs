//! The bodies of this dialect, key by key in the order of the original.

use backup_core::error::codes;
use serde::Serialize;
use utoipa::ToSchema;

use chrono::{DateTime, Utc};

use super::record::{Record, Shown, Status};
use super::stage::{Operation, Stage};
use super::work::{Logs, Progress, StageLog};

/// A job as polling shows it, whatever it does.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Polled {
    Backup(Box<BackupJob>),
    Restore(Box<RestoreJob>),
}

/// A backup job.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct BackupJob {
    #[serde(flatten)]
    head: Head,
    compression: bool,
    skip_storage: bool,
    /// Whether the agent talks TLS with the S3 server.
    #[serde(rename = "useSSL")]
    use_ssl: bool,
    /// The same for newer clients: the contrary of `useSSL` for S3.
    #[serde(rename = "skipSSL")]
    skip_ssl: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    region: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    endpoint: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    bucket: String,
    #[serde(rename = "authUrl", skip_serializing_if = "String::is_empty")]
    auth_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    domain: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    container_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    project_name: String,
    /// The name of the file that the script made.
    filename: String,
    /// What stands before it in the key.
    #[serde(rename = "filenamePrefix")]
    filename_prefix: String,
    filesize: FileSize,
    #[serde(flatten)]
    times: Times,
    pre_backup_lock_log: String,
    pre_backup_lock_errorlog: String,
    pre_backup_check_log: String,
    pre_backup_check_errorlog: String,
    backup_log: String,
    backup_errorlog: String,
    backup_cleanup_log: String,
    backup_cleanup_errorlog: String,
    post_backup_unlock_log: String,
    post_backup_unlock_errorlog: String,
}

/// A restore job.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct RestoreJob {
    #[serde(flatten)]
    head: Head,
    compression: bool,
    /// Whether the agent talks TLS with the S3 server.
    #[serde(rename = "useSSL")]
    use_ssl: bool,
    /// The same for newer clients: the contrary of `useSSL` for S3.
    #[serde(rename = "skipSSL")]
    skip_ssl: bool,
    skip_storage: bool,
    #[serde(flatten)]
    times: Times,
    pre_restore_lock_log: String,
    pre_restore_lock_errorlog: String,
    restore_log: String,
    restore_errorlog: String,
    restore_cleanup_log: String,
    restore_cleanup_errorlog: String,
    post_restore_unlock_log: String,
    post_restore_unlock_errorlog: String,
}

/// What every job begins with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Head {
    status: Status,
    #[schema(example = "backup successfully carried out")]
    message: String,
    /// The stage that runs, `finished` at the end.
    #[schema(example = "finished")]
    state: String,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error_message: Option<String>,
    /// The stage in which it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    failed_phase: Option<String>,
    /// `S3` or `SWIFT`.
    #[serde(rename = "type")]
    kind: String,
}

/// The size of a file.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct FileSize {
    size: u64,
    /// `byte`; empty while there is no file.
    unit: &'static str,
}

/// When a job ran, UTC; empty while it is not known.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Times {
    #[schema(example = "2026-11-21T09:30:00+00:00")]
    start_time: String,
    end_time: String,
    execution_time_ms: u64,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes texts that are sent as they are")]
pub(super) struct Simple {
    message: String,
}

/// A request that cannot be served now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Failed {
    pub(super) message: &'static str,
    pub(super) state: &'static str,
    pub(super) error_message: String,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            status: Status::Failed,
            message: String::new(),
            state: String::new(),
            error_message: None,
            failed_phase: None,
            kind: String::new(),
        }
    }
}

impl Polled {
    /// A body that was refused: no job.
    pub(super) fn refused(operation: Operation, why: String) -> Self {
        let head = Head {
            message: format!("{} failed.", operation.title()),
            state: "Body Deserialization".to_owned(),
            error_message: Some(why),
            ..Head::default()
        };
        match operation {
            Operation::Backup => Self::Backup(Box::new(BackupJob { head, ..BackupJob::default() })),
            Operation::Restore => Self::Restore(Box::new(RestoreJob { head, ..RestoreJob::default() })),
        }
    }

    /// A job as it stands.
    pub(super) fn job(record: Record, progress: Progress) -> Self {
        let (head, times) = (Head::of(&record, &progress), Times::of(&record));
        let Record { destination, compression, skip_storage, .. } = record;
        let Shown { tls: use_ssl, region, endpoint, bucket, auth_url, domain, .. } = destination;
        let skip_ssl = destination.kind == "S3" && !use_ssl;
        let mut logs = progress.logs;
        let mut log = |stage| taken(&mut logs, stage);
        match record.operation {
            Operation::Backup => {
                let [lock, check, backup, cleanup, unlock] =
                    [Stage::PreBackupLock, Stage::PreBackupCheck, Stage::Backup, Stage::BackupCleanup, Stage::PostBackupUnlock]
                        .map(&mut log);
                let filesize = record.file.as_ref().map(|file| FileSize { size: file.size, unit: "byte" });
                Self::Backup(Box::new(BackupJob {
                    head,
                    compression,
                    skip_storage,
                    use_ssl,
                    skip_ssl,
                    region,
                    endpoint,
                    bucket,
                    auth_url,
                    domain,
                    container_name: destination.container,
                    project_name: destination.project,
                    filename: record.file.map(|file| file.name).unwrap_or_default(),
                    filename_prefix: destination.prefix,
                    filesize: filesize.unwrap_or_default(),
                    times,
                    pre_backup_lock_log: lock.out,
                    pre_backup_lock_errorlog: lock.err,
                    pre_backup_check_log: check.out,
                    pre_backup_check_errorlog: check.err,
                    backup_log: backup.out,
                    backup_errorlog: backup.err,
                    backup_cleanup_log: cleanup.out,
                    backup_cleanup_errorlog: cleanup.err,
                    post_backup_unlock_log: unlock.out,
                    post_backup_unlock_errorlog: unlock.err,
                }))
            }
            Operation::Restore => {
                let [lock, restore, cleanup, unlock] =
                    [Stage::PreRestoreLock, Stage::Restore, Stage::RestoreCleanup, Stage::PostRestoreUnlock].map(&mut log);
                Self::Restore(Box::new(RestoreJob {
                    head,
                    compression,
                    use_ssl,
                    skip_ssl,
                    skip_storage,
                    times,
                    pre_restore_lock_log: lock.out,
                    pre_restore_lock_errorlog: lock.err,
                    restore_log: restore.out,
                    restore_errorlog: restore.err,
                    restore_cleanup_log: cleanup.out,
                    restore_cleanup_errorlog: cleanup.err,
                    post_restore_unlock_log: unlock.out,
                    post_restore_unlock_errorlog: unlock.err,
                }))
            }
        }
    }
}

fn taken(logs: &mut Logs, stage: Stage) -> StageLog {
    logs.0.remove(&stage).unwrap_or_default()
}

impl Head {
    fn of(record: &Record, progress: &Progress) -> Self {
        let operation = record.operation.as_str();
        let (message, state) = match (record.status, progress.stage) {
            (Status::Running, None) => (String::new(), String::new()),
            (Status::Running, Some(stage)) => (format!("{operation} is running"), stage.to_string()),
            (Status::Succeeded, _) => (format!("{operation} successfully carried out"), "finished".to_owned()),
            (Status::Failed, _) => (format!("{operation} failed"), "finished".to_owned()),
        };
        Self {
            status: record.status,
            message,
            state,
            error_message: record.error.clone(),
            failed_phase: record.failed_phase.map(|stage| stage.to_string()),
            kind: record.destination.kind.clone(),
        }
    }
}

impl Times {
    fn of(record: &Record) -> Self {
        let text =
            |time: Option<DateTime<Utc>>| time.map(|time| time.format("%Y-%m-%dT%H:%M:%S+00:00").to_string()).unwrap_or_default();
        Self { start_time: text(record.started_at), end_time: text(record.ended_at), execution_time_ms: record.execution_ms }
    }
}

impl Failed {
    /// Every slot is taken. The spelling is the original's.
    pub(super) fn busy() -> Self {
        Self {
            message: "Failed to start a new job.",
            state: "Job reservation",
            error_message: "Spawing a new job would break the allowed running job limit.".to_owned(),
        }
    }

    /// The agent itself failed; what happened is in its log.
    pub(super) fn internal(error: &backup_core::Error) -> Self {
        let known = error.code().name != codes::INTERNAL.name;
        let why = if known { error.code().meaning } else { "An internal error." };
        Self { message: "Failed to serve the request.", state: "Job state", error_message: why.to_owned() }
    }
}
