//! A published backup, open for reading.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use super::adopt::Adopted;
use super::packed::Artifacts;
use super::{Repository, artifacts, blocks, decode};
use crate::context::JobContext;
use crate::digest::Digest;
use crate::error::{Error, Result, ResultExt, codes};
use crate::key::KeyPrefix;
use crate::manifest::{Artifact, Compression, Manifest};
use crate::name::{ArtifactName, BackupId, SetName};
use crate::source::{ArtifactStream, BackupReader};
use crate::store::{ExternalLocation, NativePlace};

/// A published backup, open for reading. Each open stream reserves a few blocks of the memory budget until it is dropped.
pub struct StoredBackup {
    repository: Repository,
    manifest: Manifest,
    artifacts: Artifacts,
    /// What [`StoredBackup::entries`] unpacked.
    entries: OnceLock<Vec<Artifact>>,
}

impl Repository {
    /// Opens a backup. A file of another program is first read once and given a manifest, so that from then on every
    /// byte of it is checked; where the store is full or read-only, it is read anew each time.
    ///
    /// # Errors
    /// `backup.not_found`, `record.corrupt`, `record.unsupported`, `artifact.corrupt` for a damaged inventory; those of the store.
    pub async fn open(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<StoredBackup> {
        match self.open_published(cx, set, id).await? {
            Some(backup) => Ok(backup),
            None if self.naming().adoptable_prefix(set).is_some() => {
                let Adopted { manifest, unkept } = self.adopt(cx, set, id).await?;
                match unkept {
                    Some(artifacts) => Ok(self.with_artifacts(manifest, artifacts)),
                    None => self.stored_backup(cx, manifest).await,
                }
            }
            None => Err(Error::new(&codes::BACKUP_NOT_FOUND, format!("there is no published backup {id} in {set}"))),
        }
    }

    /// Opens a backup that has a manifest; `None` for any other. Reads records only.
    pub(crate) async fn open_published(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<Option<StoredBackup>> {
        match self.read_manifest(cx, set, id).await? {
            Some(manifest) => self.stored_backup(cx, manifest).await.map(Some),
            None => Ok(None),
        }
    }

    async fn stored_backup(&self, cx: &JobContext, manifest: Manifest) -> Result<StoredBackup> {
        let artifacts = artifacts::of(self, cx, &manifest).await?;
        Ok(self.with_artifacts(manifest, artifacts))
    }

    fn with_artifacts(&self, manifest: Manifest, artifacts: Artifacts) -> StoredBackup {
        StoredBackup { repository: self.clone(), manifest, artifacts, entries: OnceLock::new() }
    }
}

impl StoredBackup {
    /// The artifacts, in the order in which they were opened: all at once, at some 400 bytes each until this is dropped. Where they may be very
    /// many, [`StoredBackup::iter`].
    pub fn entries(&self) -> &[Artifact] {
        self.entries.get_or_init(|| self.artifacts.iter().collect())
    }

    /// The artifacts, in the order in which they were opened, one at a time.
    pub fn iter(&self) -> impl Iterator<Item = Artifact> + Send + '_ {
        self.artifacts.iter()
    }

    pub(crate) fn packed(&self) -> &Artifacts {
        &self.artifacts
    }

    fn find(&self, name: &ArtifactName) -> Result<Artifact> {
        let number = self.artifacts.named(name.as_str());
        number
            .map(|number| self.artifacts.get(number))
            .ok_or_else(|| Error::new(&codes::BACKUP_NOT_FOUND, format!("backup {} has no artifact `{name}`", self.manifest.id)))
    }

    async fn stored(&self, cx: &JobContext, artifact: &Artifact, range: Range<u64>) -> Result<ArtifactStream> {
        let memory = self.repository.budget().reserve(cx, blocks::stream_memory(&artifact.stored)).await?;
        if artifact.stored.is_whole() {
            return match range == (0..artifact.stored.size) {
                true => blocks::whole(&self.repository, cx, &artifact.key, &artifact.stored, memory).await,
                false => {
                    let what = format!(
                        "a part of {} cannot be checked: another program wrote it, and there is a digest of the whole alone",
                        artifact.key
                    );
                    Err(Error::new(&codes::SOURCE_UNSUPPORTED, what))
                }
            };
        }
        let stored = Arc::new(artifact.stored.clone());
        Ok(blocks::checked(&self.repository, cx, &artifact.key, &stored, range, memory))
    }
}

#[async_trait]
impl BackupReader for StoredBackup {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn artifacts(&self) -> Vec<ArtifactName> {
        self.artifacts.names().collect()
    }

    fn names(&self) -> Box<dyn Iterator<Item = ArtifactName> + Send + '_> {
        Box::new(self.artifacts.names())
    }

    fn entry(&self, name: &ArtifactName) -> Option<(u64, Digest)> {
        self.find(name).ok().map(|artifact| (artifact.stored.size, artifact.stored.sha256))
    }

    async fn check_sizes(&self, cx: &JobContext) -> Result<()> {
        artifacts::check_listed(&self.repository, cx, &self.manifest.prefix, &self.artifacts).await
    }

    fn external_location(&self) -> Option<ExternalLocation> {
        self.repository.store().external_location(&self.manifest.prefix)
    }

    fn native_place(&self) -> Option<NativePlace> {
        if !self.manifest.adopted {
            return self.repository.store().native_place(&self.manifest.prefix);
        }
        // Adopted files lie where they lay: from what is left of a key without the artifact's name.
        let first = self.artifacts.iter().next()?;
        let prefix = first.key.as_str().strip_suffix(first.name.as_str())?;
        let prefix = KeyPrefix::new(prefix).ok().filter(|it| it.as_str() == prefix)?;
        self.repository.store().native_place(&prefix)
    }

    async fn parents(&self, cx: &JobContext) -> Result<Vec<Arc<dyn BackupReader>>> {
        let set = &self.manifest.set;
        let mut found: HashMap<BackupId, Arc<dyn BackupReader>> = HashMap::new();
        let mut oldest_first = Vec::new();
        // Each comes a second time when all that it needs came.
        let mut wanted: Vec<(BackupId, bool)> = self.manifest.parents.iter().map(|id| (id.clone(), false)).collect();
        while let Some((id, complete)) = wanted.pop() {
            if complete {
                oldest_first.extend(found.get(&id).cloned());
                continue;
            }
            if found.contains_key(&id) {
                continue;
            }
            let parent =
                self.repository.open(cx, set, &id).await.context(|| format!("a parent of backup {}", self.manifest.id))?;
            wanted.push((id.clone(), true));
            wanted.extend(parent.manifest.parents.iter().map(|id| (id.clone(), false)));
            found.insert(id, Arc::new(parent));
        }
        Ok(oldest_first)
    }

    async fn open(&self, cx: &JobContext, name: &ArtifactName) -> Result<ArtifactStream> {
        let artifact = self.find(name)?;
        let stored = self.stored(cx, &artifact, 0..artifact.stored.size).await?;
        // Without compression the checked blocks are the source's bytes: their digests cover every one.
        match artifact.compression {
            Compression::None => Ok(stored),
            _ => decode::decoded(self.repository.cpu().clone(), &artifact, stored),
        }
    }

    async fn open_stored(&self, cx: &JobContext, name: &ArtifactName, range: Option<Range<u64>>) -> Result<ArtifactStream> {
        let artifact = self.find(name)?;
        let range = range.unwrap_or(0..artifact.stored.size);
        blocks::check_range(&range, artifact.stored.size)?;
        self.stored(cx, &artifact, range).await
    }
}

impl fmt::Debug for StoredBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredBackup").field("set", &self.manifest.set).field("id", &self.manifest.id).finish_non_exhaustive()
    }
}
