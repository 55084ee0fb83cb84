//! Under which keys artifacts are stored, and which files of another program are taken over.

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::error::Result;
use crate::key::{KeyPrefix, ObjectKey};
use crate::manifest::{Compression, SourceInfo};
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
    ///
    /// The objects of a backup of several share a [`Member::group`]; it is shown when its head is there.
    fn adopt(&self, set: &SetName, object: &ObjectMeta) -> Option<Adoptable> {
        let _ = (set, object);
        None
    }

    /// What reads the head of a group, or a file that is a backup of its own; `None` when it says nothing beyond its name.
    fn describe(&self, set: &SetName, head: &ObjectKey) -> Option<Box<dyn Describe>> {
        let _ = (set, head);
        None
    }

    /// The group that a published backup is to others which need it, by what its manifest says of its source: an adopted one, or one of
    /// our own that the other program builds on.
    fn group_of(&self, source: &SourceInfo) -> Option<String> {
        let _ = source;
        None
    }

    /// Whether a key of [`Naming::artifact_key`] may look to [`Naming::adopt`] like a file of the other program. Where it never does,
    /// no manifest is read for the sake of telling the two apart.
    fn names_alike(&self) -> bool {
        true
    }

    /// True when this naming knows by [`Naming::adoptable_set`] which sets the files of another program make: the store is looked through for
    /// them when somebody asks which sets there are.
    fn finds_sets(&self) -> bool {
        false
    }

    /// The set of a file that makes a backup be there: one alone, or the head of a group.
    fn adoptable_set(&self, object: &ObjectMeta) -> Option<SetName> {
        let _ = object;
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
    /// The backup that it is a part of; `None` for a file that is one alone.
    pub group: Option<Member>,
}

/// The place of a file in a backup of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What the other program calls the backup: the same for all of its files, and unique in the set.
    pub group: String,
    /// True for the one file whose presence says that the backup is whole: the other program writes it last. It gives the backup its time,
    /// revision and version.
    pub head: bool,
}

/// Reads a head as its bytes come. The engine hashes them in the same pass, so it holds no more than it says at the end.
pub trait Describe: Send {
    /// The next bytes.
    ///
    /// # Errors
    /// `artifact.corrupt` when this is no head.
    fn feed(&mut self, bytes: &[u8]) -> Result<()>;

    /// All bytes came.
    ///
    /// # Errors
    /// As [`Describe::feed`].
    fn end(self: Box<Self>) -> Result<Description>;
}

/// What a head says of its backup.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Description {
    /// As [`SourceInfo::kind`]; `adopted` when `None`.
    pub kind: Option<String>,
    /// As [`SourceInfo::identity`].
    pub identity: Option<String>,
    /// As [`SourceInfo::integrity`].
    pub integrity: Option<Value>,
    /// The group of the backup that this one needs for a restore.
    pub parent: Option<String>,
    /// How many files the group has, its head among them.
    pub files: Option<u64>,
}

impl Description {
    /// Sets [`Description::kind`].
    #[must_use]
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = Some(kind.into());
        self
    }

    /// Sets [`Description::identity`].
    #[must_use]
    pub fn identity(mut self, identity: impl Into<String>) -> Self {
        self.identity = Some(identity.into());
        self
    }

    /// Sets [`Description::integrity`].
    #[must_use]
    pub fn integrity(mut self, integrity: Value) -> Self {
        self.integrity = Some(integrity);
        self
    }

    /// Sets [`Description::parent`].
    #[must_use]
    pub fn parent(mut self, group: impl Into<String>) -> Self {
        self.parent = Some(group.into());
        self
    }

    /// Sets [`Description::files`].
    #[must_use]
    pub fn files(mut self, count: u64) -> Self {
        self.files = Some(count);
        self
    }
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
