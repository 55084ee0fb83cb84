//! Under which keys artifacts are stored, and which files of another program are taken over.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::key::{KeyPrefix, ObjectKey};
use crate::manifest::Compression;
use crate::name::{ArtifactName, BackupId, DirectoryName, SetName};
use crate::revision::Revision;
use crate::source::Probe;
use crate::store::ObjectMeta;

/// What a [`Naming`] is told about an artifact.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct NameRequest<'a> {
    /// The set.
    pub set: &'a SetName,
    /// The backup.
    pub id: &'a BackupId,
    /// The prefix that belongs to the backup alone.
    pub prefix: &'a KeyPrefix,
    /// The artifact.
    pub artifact: &'a ArtifactName,
    /// Where the source stood when the backup began, or when it opened the artifact if it said so then.
    pub probe: &'a Probe,
    /// When the backup began.
    pub created_at: DateTime<Utc>,
    /// How the artifact is stored.
    pub compression: Compression,
    /// 1, then one more each time the answer was taken.
    pub attempt: u32,
}

/// The caller's naming of artifacts. A dialect's file names are part of its contract; others keep [`DefaultNaming`].
pub trait Naming: Send + Sync + fmt::Debug + 'static {
    /// The key for an artifact: under the prefix that belongs to the backup alone, or anywhere else outside of
    /// `.backup/`. When that key is taken the naming is asked again with the next attempt, at most 100 times.
    ///
    /// # Errors
    /// Stops the backup.
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey>;

    /// Where files of another program may lie that belong to `set`.
    fn adoptable_prefix(&self, set: &SetName) -> Option<KeyPrefix> {
        let _ = set;
        None
    }

    /// Reads an object under that prefix as a backup of `set`; `None` for what is none (a foreign name, half-written, too young).
    fn adopt(&self, set: &SetName, object: &ObjectMeta) -> Option<Adoptable> {
        let _ = (set, object);
        None
    }
}

/// A file of another program, read from its name and listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoptable {
    /// The artifact's name in the adopted backup.
    pub artifact: ArtifactName,
    /// How the file is compressed.
    pub compression: Compression,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Its place among the files of the same millisecond, below 2^20; by chance when `None`.
    pub order: Option<u32>,
    /// The position it claims; never exact, whatever it says.
    pub revision: Option<Revision>,
    /// The source's version it claims.
    pub version: Option<String>,
}

/// `<set>/<id>/<artifact>` with the suffix of the compression.
#[derive(Debug, Clone, Copy, Default)]
pub struct DefaultNaming;

impl Naming for DefaultNaming {
    fn artifact_key(&self, request: NameRequest<'_>) -> Result<ObjectKey> {
        let again = if request.attempt > 1 { format!(".{}", request.attempt) } else { String::new() };
        request.prefix.key(&format!("{}{again}{}", request.artifact, request.compression.suffix()))
    }
}

/// The prefix that belongs to one backup alone: `<set>/<id>`.
///
/// # Errors
/// `input.invalid` when the set's name makes it too long.
pub fn own_prefix(set: &SetName, id: &BackupId) -> Result<KeyPrefix> {
    KeyPrefix::new(format!("{set}/{id}"))
}

/// Whether a prefix is the directory of a backup of `set` whose place is part of a contract.
pub(crate) fn is_directory(set: &SetName, prefix: &KeyPrefix) -> bool {
    let name = prefix.as_str().strip_prefix(set.as_str()).and_then(|rest| rest.strip_prefix('/')?.strip_suffix('/'));
    name.is_some_and(|name| DirectoryName::new(name).is_ok())
}

/// The prefix that belongs to one backup alone when its directory is part of a contract: `<set>/<directory>`.
///
/// # Errors
/// `input.invalid` when the set's name makes it too long.
pub(crate) fn directory_prefix(set: &SetName, directory: &DirectoryName) -> Result<KeyPrefix> {
    KeyPrefix::new(format!("{set}/{directory}"))
}
