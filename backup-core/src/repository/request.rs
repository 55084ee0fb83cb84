//! What a backup is asked for, and how it ended.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::info::BackupInfo;
use crate::manifest::Compression;
use crate::name::{BackupId, DirectoryName, SetName};

/// What to back up, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackupRequest {
    /// The set to add a backup to.
    pub set: SetName,
    /// How artifacts are compressed.
    pub compression: Compression,
    /// The compression's level, its default when `None`.
    pub level: Option<u32>,
    /// Answer with the previous backup when the source has not moved since.
    pub skip_unchanged: bool,
    /// With `skip_unchanged`: back up all the same when the previous backup is older.
    pub max_skip_age: Option<Duration>,
    /// Backups that this one builds on: retention keeps them as long as this one.
    pub parents: Vec<BackupId>,
    /// Lock all objects until then, where the store can.
    pub retain_until: Option<DateTime<Utc>>,
    /// Kept in the manifest.
    pub labels: Map<String, Value>,
    /// The directory below the set in which the backup lies, where that is part of a contract; its id otherwise.
    pub directory: Option<DirectoryName>,
    /// Wait for another job of the set; `lease.busy` at once when false.
    pub wait: bool,
}

impl BackupRequest {
    /// An uncompressed backup of `set`, made in any case.
    pub fn new(set: SetName) -> Self {
        Self {
            set,
            compression: Compression::None,
            level: None,
            skip_unchanged: false,
            max_skip_age: None,
            parents: Vec::new(),
            retain_until: None,
            labels: Map::new(),
            directory: None,
            wait: true,
        }
    }

    /// Sets compression and level.
    #[must_use]
    pub fn compression(mut self, compression: Compression, level: Option<u32>) -> Self {
        (self.compression, self.level) = (compression, level);
        self
    }

    /// Skips when unchanged, but never for longer than `max_age`.
    #[must_use]
    pub fn skip_unchanged(mut self, max_age: Option<Duration>) -> Self {
        (self.skip_unchanged, self.max_skip_age) = (true, max_age);
        self
    }

    /// Sets the parents.
    #[must_use]
    pub fn parents(mut self, parents: Vec<BackupId>) -> Self {
        self.parents = parents;
        self
    }

    /// Sets the lock.
    #[must_use]
    pub fn retain_until(mut self, until: DateTime<Utc>) -> Self {
        self.retain_until = Some(until);
        self
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// Sets the directory. One that holds anything, or that a job may still clean up, is `store.exists`.
    #[must_use]
    pub fn directory(mut self, directory: DirectoryName) -> Self {
        self.directory = Some(directory);
        self
    }

    /// Fails at once when another job works on the set.
    #[must_use]
    pub fn no_wait(mut self) -> Self {
        self.wait = false;
        self
    }
}

/// How a backup ended. A failure is an [`Error`](crate::Error); there is nothing in between.
#[derive(Debug, Clone, PartialEq)]
pub enum BackupOutcome {
    /// Published.
    Completed(Arc<BackupInfo>),
    /// Published and whole, and somebody should read the warnings.
    CompletedWithWarnings(Arc<BackupInfo>, Vec<String>),
    /// Nothing was made: this earlier backup still says it all.
    Skipped(Arc<BackupInfo>, SkipReason),
}

/// Why a backup was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// Same instance, same revision, both exactly known.
    Unchanged,
}

impl BackupOutcome {
    /// The backup that now is the newest: the one made, or the one that made another unnecessary.
    pub fn backup(&self) -> &Arc<BackupInfo> {
        match self {
            Self::Completed(info) | Self::CompletedWithWarnings(info, _) | Self::Skipped(info, _) => info,
        }
    }
}
