//! The manifest: the immutable record whose existence makes a backup exist. `docs/format.md` describes it for readers without
//! this software.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::digest::{BlockHasher, Digest, Hasher};
use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::layout;
use crate::name::{ArtifactName, BackupId, JobId, SetName};
use crate::record::{self, Claims, Record};
use crate::revision::Revision;

/// Bytes of one digest block of stored data.
pub const BLOCK_SIZE: u64 = 4 << 20;

/// The largest block that is accepted in a manifest: a whole one is held in memory while it is checked.
pub const MAX_BLOCK_SIZE: u64 = 32 << 20;

/// Above so many artifacts the manifest names an inventory object instead of listing them.
pub const MAX_INLINE_ARTIFACTS: usize = 1000;

/// Features that this version understands when a manifest requires them.
const KNOWN_FEATURES: &[&str] = &["inventory", "whole-digests", "zstd"];

/// One published backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The set.
    pub set: SetName,
    /// The backup's id; ids of a set order by time.
    pub id: BackupId,
    /// What a reader must understand to use this backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_features: Vec<String>,
    /// The job that made it.
    pub job: JobId,
    /// The generation of the lease under which it was made.
    #[serde(default)]
    pub lease_generation: u64,
    /// When the capture began, by the clock of the machine that made it.
    pub created_at: DateTime<Utc>,
    /// When the manifest was written.
    pub published_at: DateTime<Utc>,
    /// What was backed up.
    pub source: SourceInfo,
    /// Backups that this one needs for a restore.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BackupId>,
    /// Under this prefix everything belongs to this backup alone.
    pub prefix: KeyPrefix,
    /// The artifacts, unless there is an inventory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// The object that lists the artifacts, one JSON object a line, when there are more than [`MAX_INLINE_ARTIFACTS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// True for a file of another program that was taken over; its digests are those of its first verify.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Until when the store itself refuses to remove it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_until: Option<DateTime<Utc>>,
    /// What somebody should know although the backup is whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What the caller attached.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub labels: Map<String, Value>,
    /// Members that this version does not know; kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// The kind of source.
    pub kind: String,
    /// Which instance (a cluster id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Its position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Its software version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What the source itself checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Value>,
    /// What the source printed, bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// One object of a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// The name the source gave it.
    pub name: ArtifactName,
    /// Where it is stored.
    pub key: ObjectKey,
    /// How the stored bytes were made of the source's.
    pub compression: Compression,
    /// Bytes the source wrote.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: Digest,
    /// The stored bytes.
    pub stored: Stored,
}

impl Artifact {
    /// # Errors
    /// `record.corrupt` when its members contradict each other.
    pub(crate) fn check(&self) -> Result<()> {
        let corrupt = |why: &str| Err(Error::new(&codes::RECORD_CORRUPT, format!("artifact `{}`: {why}", self.name)));
        if !self.stored.is_consistent() {
            return corrupt("the number or size of the block digests does not suit the size");
        }
        if self.compression == Compression::None && (self.size, self.sha256) != (self.stored.size, self.stored.sha256) {
            return corrupt("it is not compressed, and yet its stored bytes are others than the source's");
        }
        Ok(())
    }
}

/// The bytes as they lie in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// How many.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: Digest,
    /// Bytes of a block. 0 where another program wrote the object and its own metadata has a digest of the whole alone.
    pub block_size: u64,
    /// The SHA-256 of each block, the last one being shorter.
    pub blocks: Vec<Digest>,
}

/// Makes a [`Stored`] of bytes as they pass.
#[derive(Debug, Default)]
pub(crate) struct StoredHasher {
    size: u64,
    whole: Hasher,
    blocks: BlockHasher,
}

impl StoredHasher {
    pub(crate) fn update(&mut self, data: &[u8]) {
        self.size += data.len() as u64;
        self.whole.update(data);
        self.blocks.update(data);
    }

    pub(crate) fn finish(self) -> Stored {
        Stored { size: self.size, sha256: self.whole.finish(), block_size: BLOCK_SIZE, blocks: self.blocks.finish() }
    }
}

impl Stored {
    /// Of an object whose bytes lie in memory. What fits into one block is hashed once.
    pub(crate) fn of(data: &[u8]) -> Self {
        let size = data.len() as u64;
        if (1..=BLOCK_SIZE).contains(&size) {
            let sha256 = Digest::of(data);
            return Self { size, sha256, block_size: BLOCK_SIZE, blocks: vec![sha256] };
        }
        let mut hasher = StoredHasher::default();
        hasher.update(data);
        hasher.finish()
    }

    /// An object of which only the digest of the whole is known.
    pub(crate) fn whole(size: u64, sha256: Digest) -> Self {
        Self { size, sha256, block_size: 0, blocks: Vec::new() }
    }

    /// True when only the digest of the whole is known: then it is read from its start to its end, and what was read is good when the end
    /// was reached, not before.
    pub fn is_whole(&self) -> bool {
        self.block_size == 0
    }

    /// True when the number of blocks suits the size, and a block fits into memory.
    pub fn is_consistent(&self) -> bool {
        (self.is_whole() && self.blocks.is_empty())
            || (1..=MAX_BLOCK_SIZE).contains(&self.block_size) && self.blocks.len() as u64 == self.size.div_ceil(self.block_size)
    }
}

/// How an artifact is compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// One gzip member (RFC 1952).
    Gzip,
    /// Zstandard frames one after another (RFC 8878).
    Zstd,
}

impl Compression {
    /// The suffix that the field's tools expect: empty, `.gz`, `.zst`.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

/// The object that lists the artifacts of a backup with many: JSON lines, each an [`Artifact`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Where it is stored.
    pub key: ObjectKey,
    /// How many artifacts it lists.
    pub count: u64,
    /// All their stored bytes together.
    pub stored_size: u64,
    /// The listing itself.
    pub stored: Stored,
}

impl Record for Manifest {
    const FORMAT: &'static str = "backup-manifest";
    const VERSION: u64 = 1;
}

impl Claims for Manifest {
    fn check_claims(&self, set: &SetName, id: &BackupId) -> Result<()> {
        record::check_owner(Self::FORMAT, (&self.set, &self.id), (set, id))?;
        let inventory = self.inventory.iter().map(|inventory| &inventory.key);
        layout::check_claims(set, id, &self.prefix, self.artifacts.iter().map(|artifact| &artifact.key).chain(inventory))
    }
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// `record.corrupt`; `record.unsupported` for a newer version or an unknown required feature.
    pub fn open(bytes: &[u8]) -> Result<Self> {
        record::parse::<Self>(record::check(bytes)?)?.checked()
    }

    pub(crate) fn checked(self) -> Result<Self> {
        let unknown = |feature: &&String| !KNOWN_FEATURES.contains(&feature.as_str());
        if let Some(feature) = self.required_features.iter().find(unknown) {
            return Err(Error::new(
                &codes::RECORD_UNSUPPORTED,
                format!("backup {} of {} needs the feature `{feature}`", self.id, self.set),
            ));
        }
        self.artifacts.iter().try_for_each(Artifact::check)?;
        Ok(self)
    }

    /// All stored bytes together.
    pub fn stored_size(&self) -> u64 {
        match &self.inventory {
            Some(inventory) => inventory.stored_size.saturating_add(inventory.stored.size),
            None => self.artifacts.iter().map(|artifact| artifact.stored.size).sum(),
        }
    }
}
