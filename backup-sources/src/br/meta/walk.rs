//! From `backupmeta` to every file of the backup.

use std::collections::HashSet;

use backup_core::error::Effect;
use backup_core::{ArtifactName, Digest, Error, JobContext, Result};

use super::cipher::Key;
use super::input::{Decryption, Ended, Input};
use super::proto::{File, StatsFile};
use super::wire::{End, Field, Value, Wire};
use super::{BACKUP_META, BackupMeta, Files, Listed, Visit};
use crate::br::config::Encryption;
use crate::br::{Tso, codes};

/// How many files of metadata there may be. BR begins another one after 128 MiB.
const MAX_META_FILES: usize = 100_000;

/// How deep their tree may be. BR makes one level.
const MAX_DEPTH: u32 = 16;

/// Reads all metadata, and tells every file that belongs to the backup: data, metadata and `backupmeta` itself.
///
/// # Errors
/// As [`super::read`], and those of `visit`.
pub(in crate::br) async fn walk(
    cx: &JobContext,
    files: &dyn Files,
    encryption: Option<&Encryption>,
    visit: &mut Visit<'_>,
) -> Result<BackupMeta> {
    let key = encryption.map(Key::of).transpose()?;
    let meta = BackupMeta::default();
    let mut walk = Walk { cx, files, key, visit, meta, pending: Vec::new(), seen: HashSet::new(), depth: 0 };
    let root = ArtifactName::new(BACKUP_META)?;
    let ended = walk.root(&root).await?;
    (walk.visit)(Listed { name: root, size: Some(ended.size), sha256: ended.stored })?;
    while let Some(next) = walk.pending.pop() {
        walk.depth = next.depth;
        walk.leaf(next).await?;
    }
    let mut meta = walk.meta;
    if meta.size == 0 {
        meta.size = meta.file_bytes;
    }
    Ok(meta)
}

/// A file of metadata that was named and not read yet.
struct Pending {
    name: ArtifactName,
    sha256: Digest,
    size: u64,
    iv: Vec<u8>,
    kind: Kind,
    depth: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A `MetaFile`.
    Index,
    /// Statistics; nothing in it matters here but that it is whole.
    Stats,
}

struct Walk<'a> {
    cx: &'a JobContext,
    files: &'a dyn Files,
    key: Option<Key>,
    visit: &'a mut Visit<'a>,
    meta: BackupMeta,
    pending: Vec<Pending>,
    /// The names of all files of metadata: none may occur twice, so the walk ends.
    seen: HashSet<ArtifactName>,
    /// Of the file being read.
    depth: u32,
}

impl Walk<'_> {
    /// `backupmeta` itself.
    async fn root(&mut self, name: &ArtifactName) -> Result<Ended> {
        self.seen.insert(name.clone());
        let decryption = self.key.clone().map_or(Decryption::None, Decryption::Leading);
        let stream = self.files.open(self.cx, name).await.map_err(|error| missing(error, "BR did not get to its end"))?;
        let mut wire = Wire::new(Input::new(self.cx, name.as_str(), stream, decryption));
        while let Some(field) = wire.field(End::OF_FILE).await? {
            self.root_field(&mut wire, field).await?;
        }
        if self.meta.end_version.0 == 0 && !self.meta.is_raw_kv {
            return Err(wire.damaged("it ends without saying the position of the backup; it is cut off, or encrypted"));
        }
        Ok(wire.ended())
    }

    /// A field of `BackupMeta`.
    async fn root_field(&mut self, wire: &mut Wire<'_>, field: Field) -> Result<()> {
        match (field.number, field.value) {
            (1, Value::Varint(id)) => self.meta.cluster_id = id,
            // PD's answer is kept in quotes, and with the end of its line.
            (2, Value::Length(len)) => {
                self.meta.cluster_version = wire.text(2, len).await?.trim().trim_matches('"').trim().to_owned();
            }
            (4, Value::Length(len)) => self.data_file(wire, 4, len).await?,
            (5, Value::Varint(tso)) => self.meta.start_version = Tso(tso),
            (6, Value::Varint(tso)) => self.meta.end_version = Tso(tso),
            (7, Value::Length(len)) => self.schema(wire, len).await?,
            (8, Value::Varint(yes)) => self.meta.is_raw_kv = yes != 0,
            (11, Value::Length(len)) => self.meta.br_version = wire.text(11, len).await?.trim().to_owned(),
            (12, Value::Varint(layout @ 0..=1)) => self.meta.layout = layout,
            (12, Value::Varint(other)) => {
                let what = format!("`{BACKUP_META}` has the layout {other}; 0 (V1) and 1 (V2) can be read");
                return Err(Error::new(&backup_core::error::codes::RECORD_UNSUPPORTED, what));
            }
            (13..=16, Value::Length(len)) => self.index(wire, wire.end_of(len)?).await?,
            (20, Value::Length(len)) => self.meta.new_collations = Some(wire.text(20, len).await?),
            (21, Value::Varint(yes)) => self.meta.is_txn_kv = yes != 0,
            (24, Value::Length(len)) => self.range(wire, len).await?,
            (25, Value::Varint(size)) => self.meta.size = size,
            (1..=2 | 4..=8 | 11..=16 | 20..=21 | 24..=25, _) => return Err(wrong_type(wire, field)),
            _ => wire.skip(field).await?,
        }
        Ok(())
    }

    /// A file of metadata that an index names.
    async fn leaf(&mut self, leaf: Pending) -> Result<()> {
        let Pending { name, sha256, size, iv, kind, .. } = leaf;
        let stream = self.files.open(self.cx, &name).await.map_err(|error| missing(error, "the metadata names it"))?;
        let damaged = |what: &str| Error::new(&codes::META_DAMAGED, format!("`{name}`: {what}"));
        let decryption = match &self.key {
            // BR leaves empty files as they are.
            _ if iv.is_empty() => Decryption::None,
            None => return Err(damaged("it is encrypted, and no key is configured")),
            Some(key) => Decryption::Given(key.start(&iv).ok_or_else(|| damaged("its initialisation vector has not 16 bytes"))?),
        };
        let mut wire = Wire::new(Input::new(self.cx, name.as_str(), stream, decryption));
        match kind {
            Kind::Index => self.index(&mut wire, End::OF_FILE).await?,
            Kind::Stats => wire.drain().await?,
        }
        let ended = wire.ended();
        if ended.plain != sha256 {
            return Err(damaged(&format!("its SHA-256 is {}, and {sha256} by the metadata", ended.plain)));
        }
        if kind == Kind::Index && size != 0 && size != ended.size {
            return Err(damaged(&format!("it has {} bytes, and {size} by the metadata", ended.size)));
        }
        self.meta.meta_files += 1;
        (self.visit)(Listed { name, size: Some(ended.size), sha256: ended.stored })
    }

    /// A `MetaFile`: lists, or names of files that have them.
    async fn index(&mut self, wire: &mut Wire<'_>, end: End) -> Result<()> {
        while let Some(field) = wire.field(end).await? {
            match (field.number, field.value) {
                (1, Value::Length(len)) => {
                    let file: File = wire.message(1, len).await?;
                    self.follow(wire, Kind::Index, file.name, &file.sha256, file.size, file.cipher_iv)?;
                }
                (2, Value::Length(len)) => self.data_file(wire, 2, len).await?,
                (3, Value::Length(len)) => self.schema(wire, len).await?,
                (6, Value::Length(len)) => self.range(wire, len).await?,
                (1..=3 | 6, _) => return Err(wrong_type(wire, field)),
                _ => wire.skip(field).await?,
            }
        }
        Ok(())
    }

    /// A `BackupRange`: the files of a range of keys.
    async fn range(&mut self, wire: &mut Wire<'_>, len: u64) -> Result<()> {
        let end = wire.end_of(len)?;
        while let Some(field) = wire.field(end).await? {
            match (field.number, field.value) {
                (3, Value::Length(len)) => self.data_file(wire, 3, len).await?,
                (3, _) => return Err(wrong_type(wire, field)),
                _ => wire.skip(field).await?,
            }
        }
        Ok(())
    }

    /// A `Schema`. Only its sums are kept: what describes the table may have megabytes.
    async fn schema(&mut self, wire: &mut Wire<'_>, len: u64) -> Result<()> {
        let end = wire.end_of(len)?;
        let (mut crc64xor, mut kvs, mut bytes) = (0, 0, 0);
        while let Some(field) = wire.field(end).await? {
            match (field.number, field.value) {
                (3, Value::Varint(value)) => crc64xor = value,
                (4, Value::Varint(value)) => kvs = value,
                (5, Value::Varint(value)) => bytes = value,
                (9, Value::Length(len)) => {
                    let file: StatsFile = wire.message(9, len).await?;
                    if !file.name.is_empty() {
                        self.follow(wire, Kind::Stats, file.name, &file.sha256, 0, file.cipher_iv)?;
                    }
                }
                (3..=5 | 9, _) => return Err(wrong_type(wire, field)),
                _ => wire.skip(field).await?,
            }
        }
        self.meta.schemas += 1;
        self.meta.schemas_without_sums += u64::from((crc64xor, kvs, bytes) == (0, 0, 0));
        self.meta.schema_sums.add(crc64xor, kvs, bytes);
        Ok(())
    }

    /// A `File` with data.
    async fn data_file(&mut self, wire: &mut Wire<'_>, number: u32, len: u64) -> Result<()> {
        let file: File = wire.message(number, len).await?;
        let (name, sha256) = named(wire, &file.name, &file.sha256)?;
        self.meta.files += 1;
        self.meta.file_bytes = self.meta.file_bytes.saturating_add(file.size);
        self.meta.file_sums.add(file.crc64xor, file.total_kvs, file.total_bytes);
        (self.visit)(Listed { name, size: (file.size != 0).then_some(file.size), sha256 })
    }

    /// Notes a file of metadata for reading.
    fn follow(&mut self, wire: &Wire<'_>, kind: Kind, name: String, sha256: &[u8], size: u64, iv: Vec<u8>) -> Result<()> {
        let (name, sha256) = named(wire, &name, sha256)?;
        let depth = self.depth + 1;
        if depth > MAX_DEPTH || self.seen.len() > MAX_META_FILES {
            let what = format!("more than {MAX_META_FILES} files of metadata, or a tree of them deeper than {MAX_DEPTH}");
            return Err(wire.damaged(what));
        }
        if !self.seen.insert(name.clone()) {
            return Err(wire.damaged(format_args!("the file of metadata `{name}` is named twice")));
        }
        self.pending.push(Pending { name, sha256, size, iv, kind, depth });
        Ok(())
    }
}

fn named(wire: &Wire<'_>, name: &str, sha256: &[u8]) -> Result<(ArtifactName, Digest)> {
    let digest = <[u8; 32]>::try_from(sha256);
    let digest = digest.map_err(|_| wire.damaged(format_args!("`{name:.100}` has a SHA-256 of {} bytes", sha256.len())))?;
    let valid = ArtifactName::new(name);
    let name = valid.map_err(|error| wire.damaged(format_args!("a file that cannot be: {}", error.message())))?;
    Ok((name, Digest::from_bytes(digest)))
}

fn wrong_type(wire: &Wire<'_>, field: Field) -> Error {
    wire.damaged(format_args!("field {} is not of its type; is the metadata encrypted?", field.number))
}

/// What is not there makes a backup incomplete, whoever looks.
fn missing(error: Error, why: &str) -> Error {
    match error.is_not_found() {
        true => Error::new(&codes::NOT_WHOLE, format!("a file of metadata is not there, and {why}"))
            .with_source(error)
            .with_effect(Effect::None),
        false => error,
    }
}
