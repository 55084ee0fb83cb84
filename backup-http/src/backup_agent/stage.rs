//! The words of a job: what it does, and its steps.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a job does. Each has a space of ids of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Makes a backup and brings it to its destination.
    Backup,
    /// Fetches a backup and brings it back.
    Restore,
}

/// A step of a job; each is a script of that name. Ordered as they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Takes the lock for a backup.
    PreBackupLock,
    /// Decides whether a backup can be made.
    PreBackupCheck,
    /// Makes the backup; the upload belongs to it.
    Backup,
    /// Removes what the backup left behind.
    BackupCleanup,
    /// Gives the lock back.
    PostBackupUnlock,
    /// Takes the lock for a restore.
    PreRestoreLock,
    /// Brings the backup back; the download belongs to it.
    Restore,
    /// Removes what the restore left behind.
    RestoreCleanup,
    /// Gives the lock back.
    PostRestoreUnlock,
}

impl Operation {
    /// Its name: `backup`, `restore`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
        }
    }

    /// The name at the beginning of a sentence.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Backup => "Backup",
            Self::Restore => "Restore",
        }
    }

    /// Its stages, in the order in which they run.
    pub fn stages(self) -> &'static [Stage] {
        match self {
            Self::Backup => {
                &[Stage::PreBackupLock, Stage::PreBackupCheck, Stage::Backup, Stage::BackupCleanup, Stage::PostBackupUnlock]
            }
            Self::Restore => &[Stage::PreRestoreLock, Stage::Restore, Stage::RestoreCleanup, Stage::PostRestoreUnlock],
        }
    }
}

impl Stage {
    /// Its name, which is that of its script: `pre-backup-lock`.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreBackupLock => "pre-backup-lock",
            Self::PreBackupCheck => "pre-backup-check",
            Self::Backup => "backup",
            Self::BackupCleanup => "backup-cleanup",
            Self::PostBackupUnlock => "post-backup-unlock",
            Self::PreRestoreLock => "pre-restore-lock",
            Self::Restore => "restore",
            Self::RestoreCleanup => "restore-cleanup",
            Self::PostRestoreUnlock => "post-restore-unlock",
        }
    }

    /// The stage of that name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Operation::Backup, Operation::Restore].into_iter().flat_map(Operation::stages);
        all.copied().find(|stage| stage.name() == name)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
