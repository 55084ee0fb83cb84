//! The stages of a job, in the words of the backup agent's contract.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// It makes a backup.
    Backup,
    /// It brings one back.
    Restore,
}

/// A step of a job for which a script may be run. Ordered as they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Takes the lock for a backup.
    PreBackupLock,
    /// Decides whether a backup can be made.
    PreBackupCheck,
    /// Makes the backup.
    Backup,
    /// Removes what the backup left behind.
    BackupCleanup,
    /// Gives the lock back.
    PostBackupUnlock,
    /// Takes the lock for a restore.
    PreRestoreLock,
    /// Brings the backup back.
    Restore,
    /// Removes what the restore left behind.
    RestoreCleanup,
    /// Gives the lock back.
    PostRestoreUnlock,
}

/// What a stage is for: it decides when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Lock,
    Check,
    Main,
    Cleanup,
    Unlock,
}

impl Stage {
    /// The name, as scripts and configurations have it: `pre-backup-lock`.
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

    /// The stages of an operation, in the order in which they run.
    pub fn of(operation: Operation) -> &'static [Self] {
        match operation {
            Operation::Backup => {
                &[Self::PreBackupLock, Self::PreBackupCheck, Self::Backup, Self::BackupCleanup, Self::PostBackupUnlock]
            }
            Operation::Restore => &[Self::PreRestoreLock, Self::Restore, Self::RestoreCleanup, Self::PostRestoreUnlock],
        }
    }

    /// The operation it belongs to.
    pub fn operation(self) -> Operation {
        if self < Self::PreRestoreLock { Operation::Backup } else { Operation::Restore }
    }

    pub(super) fn role(self) -> Role {
        match self {
            Self::PreBackupLock | Self::PreRestoreLock => Role::Lock,
            Self::PreBackupCheck => Role::Check,
            Self::Backup | Self::Restore => Role::Main,
            Self::BackupCleanup | Self::RestoreCleanup => Role::Cleanup,
            Self::PostBackupUnlock | Self::PostRestoreUnlock => Role::Unlock,
        }
    }

    /// Whether it takes the lock.
    pub(super) fn locks(self) -> bool {
        self.role() == Role::Lock
    }

    /// Whether it runs for the sake of what stages before it did, even after a failure or a cancel.
    pub(super) fn undoes(self) -> bool {
        matches!(self.role(), Role::Cleanup | Role::Unlock)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_scripts_and_of_configurations() {
        for stage in [Operation::Backup, Operation::Restore].into_iter().flat_map(Stage::of) {
            assert_eq!(serde_json::to_value(stage).unwrap(), stage.name());
            assert!(Stage::of(stage.operation()).contains(stage));
        }
    }
}
