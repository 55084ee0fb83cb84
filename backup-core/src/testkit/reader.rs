//! A backup in memory, for restoring without a repository.

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::Map;

use super::{RecordedArtifact, START, SeededRandom};
use crate::context::JobContext;
use crate::digest::Digest;
use crate::error::{Error, Result, codes};
use crate::key::KeyPrefix;
use crate::manifest::{Artifact, BLOCK_SIZE, Compression, Manifest, SourceInfo, Stored};
use crate::name::{ArtifactName, BackupId, JobId, SetName};
use crate::source::{ArtifactStream, BackupReader, Summary};
use crate::store::{ExternalLocation, NativePlace};

/// A [`BackupReader`] over artifacts in memory, stored as they are, with a plausible manifest.
pub struct MemoryReader {
    manifest: Manifest,
    artifacts: Vec<(ArtifactName, Bytes)>,
    piece: usize,
    corrupt: Option<Corrupt>,
    external: Option<ExternalLocation>,
    place: Option<NativePlace>,
    parents: Vec<Arc<dyn BackupReader>>,
}

#[derive(Debug, Clone, Copy)]
enum Corrupt {
    After(u64),
    AtEnd,
}

impl MemoryReader {
    /// A backup of the source `kind` that holds what a [`RecordingSink`](super::RecordingSink) recorded.
    pub fn new(kind: &str, summary: &Summary, recorded: &[RecordedArtifact]) -> Self {
        let artifacts: Vec<_> = recorded.iter().map(|one| (one.name.clone(), one.bytes.clone())).collect();
        Self {
            manifest: manifest(kind, summary, &artifacts),
            artifacts,
            piece: 61_001,
            corrupt: None,
            external: None,
            place: None,
            parents: Vec::new(),
        }
    }

    /// A backup of the source `kind` that holds these artifacts.
    ///
    /// # Panics
    /// When a name is no valid artifact name.
    pub fn of(kind: &str, artifacts: &[(&str, &[u8])]) -> Self {
        let artifacts: Vec<_> = artifacts
            .iter()
            .map(|(name, bytes)| (ArtifactName::new(*name).expect("a valid name"), Bytes::copy_from_slice(bytes)))
            .collect();
        Self {
            manifest: manifest(kind, &Summary::default(), &artifacts),
            artifacts,
            piece: 61_001,
            corrupt: None,
            external: None,
            place: None,
            parents: Vec::new(),
        }
    }

    /// Changes the manifest: another version, other labels.
    #[must_use]
    pub fn with_manifest(mut self, change: impl FnOnce(&mut Manifest)) -> Self {
        change(&mut self.manifest);
        self
    }

    /// Sets where another program finds it.
    #[must_use]
    pub fn external_location(mut self, location: ExternalLocation) -> Self {
        self.external = Some(location);
        self
    }

    /// Sets what other programs call its place.
    #[must_use]
    pub fn native_place(mut self, place: NativePlace) -> Self {
        self.place = Some(place);
        self
    }

    /// Sets the backups that it needs, the oldest first.
    #[must_use]
    pub fn parents(mut self, parents: Vec<Arc<dyn BackupReader>>) -> Self {
        self.parents = parents;
        self
    }

    /// How many bytes one piece of a stream holds at most, an odd number unless set.
    #[must_use]
    pub fn piece(mut self, bytes: usize) -> Self {
        self.piece = bytes.max(1);
        self
    }

    /// Every stream breaks with `artifact.corrupt` after so many bytes, or at its end when it has fewer.
    #[must_use]
    pub fn corrupt_after(mut self, bytes: u64) -> Self {
        self.corrupt = Some(Corrupt::After(bytes));
        self
    }

    /// Every stream hands out all its bytes and then says `artifact.corrupt`: the digest of the whole did not match.
    #[must_use]
    pub fn corrupt_at_end(mut self) -> Self {
        self.corrupt = Some(Corrupt::AtEnd);
        self
    }

    fn find(&self, name: &ArtifactName) -> Result<&Bytes> {
        let found = self.artifacts.iter().find(|(existing, _)| existing == name);
        let missing = || Error::new(&codes::BACKUP_NOT_FOUND, format!("the backup has no artifact {name}"));
        found.map(|(_, bytes)| bytes).ok_or_else(missing)
    }

    fn stream(&self, cx: &JobContext, name: &ArtifactName, bytes: Bytes) -> ArtifactStream {
        let good = match self.corrupt {
            Some(Corrupt::After(after)) => bytes.slice(..bytes.len().min(usize::try_from(after).unwrap_or(usize::MAX))),
            Some(Corrupt::AtEnd) | None => bytes,
        };
        let broken = self.corrupt.map(|_| Err(Error::new(&codes::ARTIFACT_CORRUPT, format!("injected into artifact {name}"))));
        let pieces: Vec<_> =
            (0..good.len()).step_by(self.piece).map(|at| good.slice(at..good.len().min(at + self.piece))).collect();
        let cx = cx.clone();
        let checked = stream::iter(pieces).then(move |piece| {
            let cx = cx.clone();
            async move {
                // Waits once, as a reader of a real store does.
                tokio::task::yield_now().await;
                cx.check().map(|()| piece)
            }
        });
        checked.chain(stream::iter(broken)).boxed()
    }
}

#[async_trait]
impl BackupReader for MemoryReader {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn native_place(&self) -> Option<NativePlace> {
        self.place.clone()
    }

    async fn parents(&self, _cx: &JobContext) -> Result<Vec<Arc<dyn BackupReader>>> {
        Ok(self.parents.clone())
    }

    fn external_location(&self) -> Option<ExternalLocation> {
        self.external.clone()
    }

    fn artifacts(&self) -> Vec<ArtifactName> {
        self.artifacts.iter().map(|(name, _)| name.clone()).collect()
    }

    async fn open(&self, cx: &JobContext, name: &ArtifactName) -> Result<ArtifactStream> {
        cx.check()?;
        Ok(self.stream(cx, name, self.find(name)?.clone()))
    }

    async fn open_stored(&self, cx: &JobContext, name: &ArtifactName, range: Option<Range<u64>>) -> Result<ArtifactStream> {
        cx.check()?;
        let bytes = self.find(name)?;
        let size = bytes.len() as u64;
        let range = range.unwrap_or(0..size);
        if range.start > range.end || range.end > size {
            let message = format!("the range {range:?} is not inside the {size} bytes of artifact {name}");
            return Err(Error::new(&codes::INPUT_INVALID, message));
        }
        Ok(self.stream(cx, name, bytes.slice(range.start as usize..range.end as usize)))
    }
}

impl fmt::Debug for MemoryReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReader").field("artifacts", &self.artifacts()).field("corrupt", &self.corrupt).finish()
    }
}

fn manifest(kind: &str, summary: &Summary, artifacts: &[(ArtifactName, Bytes)]) -> Manifest {
    let now = START.parse().expect("START is a date");
    let random = SeededRandom::new(artifacts.len() as u64);
    let set = SetName::new("test/memory").expect("a valid name");
    let id = BackupId::after(None, now, &random);
    let prefix = KeyPrefix::new(format!("{set}/{id}")).expect("a valid prefix");
    let artifact = |(name, bytes): &(ArtifactName, Bytes)| Artifact {
        name: name.clone(),
        key: prefix.key(name.as_str()).expect("a valid key"),
        compression: Compression::None,
        size: bytes.len() as u64,
        sha256: Digest::of(bytes),
        stored: Stored {
            size: bytes.len() as u64,
            sha256: Digest::of(bytes),
            block_size: BLOCK_SIZE,
            blocks: bytes.chunks(BLOCK_SIZE as usize).map(Digest::of).collect(),
        },
    };
    let source = SourceInfo {
        kind: kind.to_owned(),
        identity: summary.identity.clone(),
        revision: summary.revision.clone(),
        version: summary.version.clone(),
        integrity: summary.integrity.clone(),
        log: summary.log.clone(),
    };
    Manifest {
        artifacts: artifacts.iter().map(artifact).collect(),
        set,
        id,
        required_features: Vec::new(),
        job: JobId::random(&random),
        lease_generation: 1,
        created_at: now,
        published_at: now,
        source,
        parents: Vec::new(),
        prefix,
        inventory: None,
        adopted: false,
        retain_until: None,
        warnings: summary.warnings.clone(),
        labels: Map::new(),
        unknown: Map::new(),
    }
}
