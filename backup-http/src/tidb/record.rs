//! What is kept of a backup: all that the documents show, and no secret.

use backup_core::repository::BackupInfo;
use backup_core::{BackupId, Position};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::RecordId;

/// What of a cluster is in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum BackupType {
    /// All of it.
    Full,
    /// What changed since the backup before.
    Incr,
}

impl BackupType {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Incr => "incr",
        }
    }
}

/// Who asked for a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// Somebody.
    Manual,
    /// A strategy.
    Auto,
}

impl Mode {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Auto => "auto",
        }
    }
}

/// Where a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) enum Status {
    /// It waits for its place among the running ones.
    Initializing,
    /// It is being made.
    Processing,
    /// It is there.
    Finished,
    /// It is not, or was cancelled.
    Failed,
}

impl Status {
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Processing => "Processing",
            Self::Finished => "Finished",
            Self::Failed => "Failed",
        }
    }
}

/// A backup as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: RecordId,
    pub(super) cluster: String,
    pub(super) kind: BackupType,
    pub(super) mode: Mode,
    pub(super) status: Status,
    /// The directory below that of the cluster.
    pub(super) directory: String,
    /// All of the path, as it was when the backup was made.
    pub(super) path: String,
    /// Bytes.
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default)]
    pub(super) tso: u64,
    pub(super) started_at: DateTime<Utc>,
    pub(super) ended_at: DateTime<Utc>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// The backup in the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) backup: Option<BackupId>,
}

impl Record {
    /// It is there, as the repository shows it.
    pub(super) fn finish(&mut self, info: &BackupInfo, now: DateTime<Utc>) {
        (self.status, self.ended_at, self.updated_at) = (Status::Finished, now, now);
        (self.size, self.backup) = (info.stored_size, Some(info.id.clone()));
        if let Some(Position::Number(tso)) = info.revision.as_ref().map(|revision| &revision.position) {
            self.tso = *tso;
        }
    }

    pub(super) fn fail(&mut self, why: impl Into<String>, now: DateTime<Utc>) {
        (self.status, self.ended_at, self.updated_at) = (Status::Failed, now, now);
        self.message = Some(why.into());
    }

    pub(super) fn set_status(&mut self, status: Status, now: DateTime<Utc>) {
        (self.status, self.updated_at) = (status, now);
    }

    /// Adds something that somebody should read.
    pub(super) fn note(&mut self, text: &str) {
        match &mut self.message {
            Some(message) => {
                message.push_str("; ");
                message.push_str(text);
            }
            None => self.message = Some(text.to_owned()),
        }
    }
}
