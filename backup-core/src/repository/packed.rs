//! The artifacts of one backup in little memory: there may be a hundred thousand of them.

#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;

use bytes::{Buf, BufMut};
use hashbrown::HashTable;

use crate::digest::Digest;
use crate::key::ObjectKey;
use crate::manifest::{Artifact, BLOCK_SIZE, Compression, Stored};
use crate::name::ArtifactName;

/// Bytes that are set aside at a time.
const CHUNK: usize = 64 << 10;

/// No artifact has that number.
const NONE: usize = usize::MAX;

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

/// The artifacts of one backup, by their numbers, names and keys.
///
/// One that is not compressed and of one block takes about 75 bytes, two-thirds of them its digest and its name.
#[derive(Default)]
pub(crate) struct Artifacts {
    packed: Packed,
    hasher: RandomState,
    names: HashTable<usize>,
    /// Those whose keys do not follow from their names.
    odd_keys: HashTable<usize>,
    count: usize,
    size: u64,
    stored_size: u64,
    whole: bool,
}

impl Artifacts {
    /// Adds one behind all others.
    pub(crate) fn push(&mut self, artifact: &Artifact) {
        self.insert(self.packed.places.len(), artifact);
    }

    /// Adds one at a number of its own. Numbers may come in any order, and some never.
    pub(crate) fn insert(&mut self, number: usize, artifact: &Artifact) {
        self.count += 1;
        self.size = self.size.saturating_add(artifact.size);
        self.stored_size = self.stored_size.saturating_add(artifact.stored.size);
        self.whole |= artifact.stored.is_whole();
        // A damaged manifest may name several alike. By its name the first one is found, by their keys all are.
        let first = self.named(artifact.name.as_str()).is_none();
        let odd = self.packed.insert(number, artifact, first);
        let Self { packed, hasher, names, odd_keys, .. } = self;
        if first {
            note(names, hasher, number, |number| packed.head(number).name);
        }
        if odd {
            note(odd_keys, hasher, number, |number| packed.head(number).odd_key.unwrap_or_default());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All bytes that the source wrote.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// All stored bytes.
    pub(crate) fn stored_size(&self) -> u64 {
        self.stored_size
    }

    /// True when of one only the digest of the whole is known.
    pub(crate) fn any_whole(&self) -> bool {
        self.whole
    }

    /// The numbers there are, growing.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = usize> + Send + '_ {
        self.packed.places.iter().enumerate().filter(|(_, place)| **place != NONE).map(|(number, _)| number)
    }

    /// The artifact of one of [`Artifacts::numbers`].
    pub(crate) fn get(&self, number: usize) -> Artifact {
        self.packed.artifact(number)
    }

    /// All, by growing numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Artifact> + Send + '_ {
        self.numbers().map(|number| self.get(number))
    }

    /// Their names, in the same order.
    pub(crate) fn names(&self) -> impl Iterator<Item = ArtifactName> + Send + '_ {
        self.numbers().map(|number| ArtifactName::checked(self.packed.head(number).name))
    }

    /// The number of the artifact of that name.
    pub(crate) fn named(&self, name: &str) -> Option<usize> {
        self.names.find(self.hasher.hash_one(name), |number| self.packed.head(*number).name == name).copied()
    }

    /// The number of the artifact that is stored there.
    pub(crate) fn stored_at(&self, key: &ObjectKey) -> Option<usize> {
        let usual = key.as_str().strip_prefix(self.packed.base());
        let usual = usual.into_iter().flat_map(|rest| COMPRESSIONS.map(|compression| rest.strip_suffix(compression.suffix())));
        let usual = usual.flatten().filter_map(|name| self.named(name)).find(|number| self.packed.key(*number) == key.as_str());
        let hash = self.hasher.hash_one(key.as_str());
        usual.or_else(|| self.odd_keys.find(hash, |number| self.packed.head(*number).odd_key == Some(key.as_str())).copied())
    }
}

/// Notes a number under its text.
fn note<'a>(table: &mut HashTable<usize>, hasher: &RandomState, number: usize, text: impl Fn(usize) -> &'a str) {
    let hash = |number: &usize| hasher.hash_one(text(*number));
    table.insert_unique(hash(&number), number, hash);
}

impl<'a> FromIterator<&'a Artifact> for Artifacts {
    fn from_iter<I: IntoIterator<Item = &'a Artifact>>(all: I) -> Self {
        let mut artifacts = Self::default();
        all.into_iter().for_each(|artifact| artifacts.push(artifact));
        artifacts
    }
}

impl fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifacts").field("count", &self.count).field("stored_size", &self.stored_size).finish_non_exhaustive()
    }
}

/// Artifacts as bytes.
#[derive(Default)]
struct Packed {
    /// What keys begin with that go on with the artifact's name and the suffix of its compression.
    base: Option<String>,
    chunks: Vec<Vec<u8>>,
    /// Where each number begins: so many bytes behind the start of all, were each chunk of [`CHUNK`] bytes.
    places: Vec<usize>,
}

/// How an artifact begins.
struct Head<'a> {
    flags: u8,
    name: &'a str,
    /// A key that does not follow from the name.
    odd_key: Option<&'a str>,
    rest: &'a [u8],
}

/// Two bits of the flags say the compression.
const COMPRESSION: u8 = 0b11;
const ODD_KEY: u8 = 1 << 2;
/// The stored bytes are those of the source.
const PLAIN: u8 = 1 << 3;
/// The stored bytes are one block of the usual size.
const ONE_BLOCK: u8 = 1 << 4;

impl Packed {
    fn base(&self) -> &str {
        self.base.as_deref().unwrap_or_default()
    }

    /// Adds one; true when its key does not follow from its name, which it may only when it is the `first` one of that name.
    fn insert(&mut self, number: usize, artifact: &Artifact, first: bool) -> bool {
        let (name, stored) = (artifact.name.as_str(), &artifact.stored);
        let end = format!("{name}{}", artifact.compression.suffix());
        let base = artifact.key.as_str().strip_suffix(&end);
        if self.base.is_none() {
            self.base = base.map(str::to_owned);
        }
        let odd = !first || base.is_none() || base != self.base.as_deref();
        let plain = (artifact.size, artifact.sha256) == (stored.size, stored.sha256);
        let one_block = stored.block_size == BLOCK_SIZE && stored.blocks == [stored.sha256];
        let compression = match artifact.compression {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Zstd => 2,
        };
        let mut bytes = Vec::with_capacity(256);
        bytes.put_u8(
            compression | if odd { ODD_KEY } else { 0 } | if plain { PLAIN } else { 0 } | if one_block { ONE_BLOCK } else { 0 },
        );
        put_text(&mut bytes, name);
        if odd {
            put_text(&mut bytes, artifact.key.as_str());
        }
        bytes.put_u64(stored.size);
        bytes.put_slice(stored.sha256.as_bytes());
        if !plain {
            bytes.put_u64(artifact.size);
            bytes.put_slice(artifact.sha256.as_bytes());
        }
        if !one_block {
            bytes.put_u64(stored.block_size);
            bytes.put_u64(stored.blocks.len() as u64);
            stored.blocks.iter().for_each(|block| bytes.put_slice(block.as_bytes()));
        }
        let place = self.append(&bytes);
        if self.places.len() <= number {
            self.places.resize(number + 1, NONE);
        }
        if let Some(of_number) = self.places.get_mut(number) {
            *of_number = place;
        }
        odd
    }

    fn append(&mut self, bytes: &[u8]) -> usize {
        if self.chunks.last().is_none_or(|chunk| chunk.len() + bytes.len() > CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK.max(bytes.len())));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        self.chunks.last_mut().map_or(NONE, |chunk| {
            let at = chunk.len();
            chunk.extend_from_slice(bytes);
            before + at
        })
    }

    /// What was packed here is whole: reading it back runs over no end.
    fn head(&self, number: usize) -> Head<'_> {
        let place = self.places.get(number).copied().unwrap_or(NONE);
        let mut rest = self.chunks.get(place / CHUNK).and_then(|chunk| chunk.get(place % CHUNK..)).unwrap_or_default();
        let flags = rest.get_u8();
        let name = text(&mut rest);
        let odd_key = (flags & ODD_KEY != 0).then(|| text(&mut rest));
        Head { flags, name, odd_key, rest }
    }

    fn key(&self, number: usize) -> String {
        let Head { flags, name, odd_key, .. } = self.head(number);
        odd_key.map_or_else(|| format!("{}{name}{}", self.base(), compression(flags).suffix()), str::to_owned)
    }

    fn artifact(&self, number: usize) -> Artifact {
        let Head { flags, name, mut rest, .. } = self.head(number);
        let (stored_size, stored_sha256) = (rest.get_u64(), digest(&mut rest));
        let (size, sha256) = match flags & PLAIN {
            0 => (rest.get_u64(), digest(&mut rest)),
            _ => (stored_size, stored_sha256),
        };
        let (block_size, blocks) = match flags & ONE_BLOCK {
            0 => (rest.get_u64(), (0..rest.get_u64()).map(|_| digest(&mut rest)).collect()),
            _ => (BLOCK_SIZE, vec![stored_sha256]),
        };
        Artifact {
            name: ArtifactName::checked(name),
            key: ObjectKey::checked(self.key(number)),
            compression: compression(flags),
            size,
            sha256,
            stored: Stored { size: stored_size, sha256: stored_sha256, block_size, blocks },
        }
    }
}

fn compression(flags: u8) -> Compression {
    COMPRESSIONS.get(usize::from(flags & COMPRESSION)).copied().unwrap_or_default()
}

/// Names and keys have 1,024 bytes at most.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.put_u16(text.len() as u16);
    bytes.put_slice(text.as_bytes());
}

fn text<'a>(bytes: &mut &'a [u8]) -> &'a str {
    let length = usize::from(bytes.get_u16());
    let (text, rest) = bytes.split_at(length);
    *bytes = rest;
    std::str::from_utf8(text).unwrap_or_default()
}

fn digest(bytes: &mut &[u8]) -> Digest {
    let mut digest = [0; 32];
    bytes.copy_to_slice(&mut digest);
    Digest::from_bytes(digest)
}
