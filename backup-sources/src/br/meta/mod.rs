//! `backupmeta`, the file that makes a backup of BR whole: which files belong to it, and what they hold.
//!
//! # Behavior
//! - Both layouts: V1, which lists every file in `backupmeta` itself, and V2, whose lists lie in files of their own, a tree that is walked to
//!   its leaves. The SHA-256 of each of those is checked.
//! - Encrypted metadata (AES in counter mode) is read with the key that the source is configured with.
//! - A file is read as a stream: a list of a million files needs as much memory as one of ten.
//!
//! Source: kvproto `brpb.proto`, and BR's `metautil`.

mod cipher;
mod input;
mod proto;
#[cfg(test)]
pub(super) mod tests;
mod walk;
mod wire;

use async_trait::async_trait;
use backup_core::source::ArtifactStream;
use backup_core::{ArtifactName, BackupReader, Digest, JobContext, Result, Sink};

use super::Tso;
use super::config::Encryption;
pub(super) use walk::walk;

/// The file that BR writes last.
pub const BACKUP_META: &str = "backupmeta";

/// What `backupmeta` says of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupMeta {
    /// The cluster's id at PD.
    pub cluster_id: u64,
    /// The cluster's version, without quotes: `6.5.0`.
    pub cluster_version: String,
    /// What BR calls itself, several lines.
    pub br_version: String,
    /// From where an incremental backup starts. See [`BackupMeta::is_full`].
    pub start_version: Tso,
    /// The position of the backup, its BackupTS.
    pub end_version: Tso,
    /// 0 for V1, 1 for V2.
    pub layout: u64,
    /// The bytes of the backup, as BR counts them; those of its data files where it does not say.
    pub size: u64,
    /// How many data files there are.
    pub files: u64,
    /// Their bytes.
    pub file_bytes: u64,
    /// How many files of metadata belong to it besides `backupmeta`.
    pub meta_files: u64,
    /// How many tables and empty databases it has.
    pub schemas: u64,
    /// How many of them carry no checksum.
    pub schemas_without_sums: u64,
    /// The sums over all data files.
    pub file_sums: Sums,
    /// The sums over all tables.
    pub schema_sums: Sums,
    /// A backup of TiKV without TiDB: raw keys.
    pub is_raw_kv: bool,
    /// A backup of TiKV without TiDB: transactional keys.
    pub is_txn_kv: bool,
    /// Whether the cluster compares text by the new collations: `True`, `False`; older clusters do not say.
    pub new_collations: Option<String>,
}

/// Sums over key-value pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sums {
    /// The CRC-64 of each pair, combined by exclusive or.
    pub crc64xor: u64,
    /// How many pairs.
    pub kvs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A file that belongs to a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: ArtifactName,
    /// Old versions of BR do not say.
    pub(super) size: Option<u64>,
    pub(super) sha256: Digest,
}

/// Takes the files of a backup one by one. What was told counts only when the walk ends without an error.
pub(super) type Visit<'a> = dyn FnMut(Listed) -> Result<()> + Send + 'a;

/// Where the files of a backup lie.
#[async_trait]
pub(super) trait Files: Send + Sync {
    async fn open(&self, cx: &JobContext, name: &ArtifactName) -> Result<ArtifactStream>;
}

/// Where BR has just written.
pub(super) struct Written<'a>(pub(super) &'a dyn Sink);

#[async_trait]
impl Files for Written<'_> {
    async fn open(&self, cx: &JobContext, name: &ArtifactName) -> Result<ArtifactStream> {
        cx.run(self.0.read_external(name)).await
    }
}

/// A published backup.
pub(super) struct Published<'a>(pub(super) &'a dyn BackupReader);

#[async_trait]
impl Files for Published<'_> {
    async fn open(&self, cx: &JobContext, name: &ArtifactName) -> Result<ArtifactStream> {
        cx.run(self.0.open(cx, name)).await
    }
}

/// Reads the metadata of a published backup to its end.
///
/// # Errors
/// `br.meta_damaged`, with the place; `br.not_whole` when a file of metadata is missing; `br.config` for a key that is none; those of the
/// reader.
///
/// # Cancel safety
/// Nothing is changed.
pub async fn read(cx: &JobContext, reader: &dyn BackupReader, encryption: Option<&Encryption>) -> Result<BackupMeta> {
    walk(cx, &Published(reader), encryption, &mut |_| Ok(())).await
}

impl BackupMeta {
    /// True for a full backup: one that starts nowhere, or where it ends.
    pub fn is_full(&self) -> bool {
        self.start_version.0 == 0 || self.start_version == self.end_version
    }

    /// What contradicts itself in the sums, in words. Tables whose checksum BR left out are no contradiction.
    pub fn fault_of_sums(&self) -> Option<String> {
        let (files, tables) = (self.file_sums, self.schema_sums);
        // All that is missing in the tables' sums may be those of tables without any.
        let explained = self.schemas_without_sums > 0 && files.kvs > tables.kvs && files.bytes > tables.bytes;
        match tables == Sums::default() || files == tables || explained {
            true => None,
            false => Some(format!("the data files hold {files}, and the tables {tables} by `{BACKUP_META}`")),
        }
    }
}

impl Sums {
    fn add(&mut self, crc64xor: u64, kvs: u64, bytes: u64) {
        self.crc64xor ^= crc64xor;
        self.kvs = self.kvs.wrapping_add(kvs);
        self.bytes = self.bytes.wrapping_add(bytes);
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} pairs of {} bytes with CRC-64 {:016x}", self.kvs, self.bytes, self.crc64xor)
    }
}
