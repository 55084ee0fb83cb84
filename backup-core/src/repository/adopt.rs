//! Files that another program left: listed beside the published backups until a verify gives them a manifest.

use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt;

use super::info::{BackupInfo, State};
use super::publish::publish;
use super::taken::read_all;
use super::{Repository, artifacts, blocks, decode, external};
use crate::context::JobContext;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result, codes};
use crate::event::Event;
use crate::key::ObjectKey;
use crate::layout::{self, Place, RESERVED};
use crate::manifest::{Artifact, Compression, Manifest, SourceInfo, Stored};
use crate::name::{BackupId, SetName};
use crate::naming::{Adoptable, own_prefix};
use crate::record::{Intent, Tombstone};
use crate::revision::{Certainty, Revision};
use crate::store::{ListOptions, ObjectMeta, StoreExt};

/// An adoptable file with its listing.
pub(crate) struct Found {
    pub(crate) object: ObjectMeta,
    pub(crate) file: Adoptable,
}

/// The id of an adopted file, the same at each listing: its time, its place within that, and a hash of its key.
fn adopted_id(Found { object, file }: &Found) -> BackupId {
    let [a, b, c, d, ..] = *Digest::of(object.key.as_str().as_bytes()).as_bytes();
    let hash = u32::from_be_bytes([a, b, c, d]);
    let tail = file.order.map_or(hash, |order| order << 12 | hash & 0xfff);
    BackupId::from_parts(file.created_at, tail)
}

/// What the file claims, as a lower bound at best.
pub(crate) fn claimed_revision(file: &Adoptable) -> Option<Revision> {
    file.revision.clone().map(|revision| Revision { certainty: Certainty::AtLeast, ..revision })
}

impl Repository {
    /// The adoptable files of a set that no record names, as list entries, besides the `published` ones.
    pub(crate) async fn adoptable(
        &self,
        cx: &JobContext,
        set: &SetName,
        published: &[Arc<BackupInfo>],
    ) -> Result<Vec<Arc<BackupInfo>>> {
        let found = self.find_adoptable(cx, set, published).await?;
        Ok(found
            .into_iter()
            .map(|found| {
                let id = adopted_id(&found);
                let Found { object, file } = found;
                Arc::new(BackupInfo {
                    revision: claimed_revision(&file),
                    version: file.version,
                    stored_size: object.size,
                    artifacts: 1,
                    first_key: Some(object.key),
                    ..BackupInfo::bare(set, &id, file.created_at, State::Adopted)
                })
            })
            .collect())
    }

    /// The file behind the id of an adopted entry.
    pub(crate) async fn find_adopted(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<Found> {
        let published = self.cached(set);
        let found = self.find_adoptable(cx, set, &published).await?;
        let wanted = |found: &Found| adopted_id(found) == *id;
        let missing = || Error::new(&codes::BACKUP_NOT_FOUND, format!("there is no adoptable file {id} in {set}"));
        found.into_iter().find(wanted).ok_or_else(missing)
    }

    /// Gives the file behind an adopted entry a manifest: reads it once, and publishes its digests under the entry's id.
    /// The file itself is left as it is.
    ///
    /// # Errors
    /// `backup.not_found`; those of the store.
    pub(crate) async fn adopt(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<Manifest> {
        let Found { object, file } = self.find_adopted(cx, set, id).await?;
        let stored = external::digest(self, cx, &object.key).await?;
        if stored.size != object.size {
            return Err(Error::new(&codes::STORE_BUSY, format!("{} changed while it was read", object.key)));
        }
        let (size, sha256) = self.plaintext(cx, &object.key, &file, &stored).await?;
        let artifact =
            Artifact { name: file.artifact.clone(), key: object.key, compression: file.compression, size, sha256, stored };
        let manifest = Manifest {
            set: set.clone(),
            id: id.clone(),
            required_features: Vec::new(),
            job: cx.job().clone(),
            lease_generation: 0,
            created_at: file.created_at,
            published_at: cx.clock().now(),
            source: SourceInfo {
                kind: "adopted".into(),
                identity: None,
                revision: claimed_revision(&file),
                version: file.version,
                integrity: None,
                log: None,
            },
            parents: Vec::new(),
            prefix: own_prefix(set, id)?,
            artifacts: vec![artifact],
            inventory: None,
            adopted: true,
            retain_until: None,
            warnings: Vec::new(),
            labels: serde_json::Map::new(),
            unknown: serde_json::Map::new(),
        };
        match publish(&**self.store(), cx, &manifest).await {
            Ok(()) => {}
            // Somebody else adopted it meanwhile.
            Err(error) if *error.code() == codes::PUBLISH_CONFLICT => return self.manifest(cx, set, id).await,
            // Where nothing can be written the file can be restored all the same, by the digests of this reading.
            Err(error) if matches!(error.kind(), ErrorKind::NoSpace | ErrorKind::PermissionDenied) => {
                cx.event(Event::Warning(format!(
                    "the digests of {id} in {set} cannot be kept, and are made at each reading: {error}"
                )));
                return Ok(manifest);
            }
            Err(error) => return Err(error),
        }
        self.still_there(cx, &manifest).await?;
        self.catalogue().insert(&manifest);
        Ok(manifest)
    }

    /// A removal may have begun since the file was found. It puts its tombstone first and removes the file before it drops that: so
    /// after our manifest either we see one of these, or it sees the manifest.
    async fn still_there(&self, cx: &JobContext, manifest: &Manifest) -> Result<()> {
        let (set, id) = (&manifest.set, &manifest.id);
        let mut there = self.store().head_opt(cx, &layout::tombstone_key(set, id)?).await?.is_none();
        for artifact in &manifest.artifacts {
            there = there && self.store().head_opt(cx, &artifact.key).await?.is_some();
        }
        if there {
            return Ok(());
        }
        self.store().delete(cx, &[layout::manifest_key(set, id)?]).await?.into_result()?;
        Err(Error::new(&codes::BACKUP_NOT_FOUND, format!("the adoptable file {id} of {set} was removed while it was read")))
    }

    /// Size and digest of what a file of another program decodes to.
    async fn plaintext(&self, cx: &JobContext, key: &ObjectKey, file: &Adoptable, stored: &Stored) -> Result<(u64, Digest)> {
        if file.compression == Compression::None {
            return Ok((stored.size, stored.sha256));
        }
        let memory = self.budget().reserve(cx, blocks::stream_memory(stored)).await?;
        let bytes = blocks::checked(self, cx, key, &Arc::new(stored.clone()), 0..stored.size, memory);
        decode::measure(self.cpu().clone(), key, file.compression, bytes).await
    }

    /// A file is foreign only if no record names it, and our own come and go meanwhile. A backup puts its intent before its object and
    /// drops it after its manifest; a removal puts its tombstone before its manifest goes, and drops it after the object.
    /// So files are listed first, then intents, manifests, tombstones; and what remains must still be there at the end.
    async fn find_adoptable(&self, cx: &JobContext, set: &SetName, published: &[Arc<BackupInfo>]) -> Result<Vec<Found>> {
        let Some(prefix) = self.naming().adoptable_prefix(set) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        let known: HashSet<&ObjectKey> = published.iter().filter_map(|info| info.first_key.as_ref()).collect();
        let mut listing = self.store().list(cx, &prefix, ListOptions::default());
        while let Some(object) = listing.try_next().await? {
            if object.key.as_str().starts_with(RESERVED) || known.contains(&object.key) {
                continue;
            }
            if let Some(file) = self.naming().adopt(set, &object) {
                found.push(Found { object, file });
            }
        }
        if found.is_empty() {
            return Ok(found);
        }
        match self.without_named(cx, set, published, found).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                cx.event(Event::Warning(format!("files of other programs in {set} are not shown: {error}")));
                Ok(Vec::new())
            }
            other => other,
        }
    }

    /// The keys of all artifacts of the published backups of a set, those in `except` left out. What a damaged manifest names
    /// nobody knows.
    ///
    /// # Errors
    /// `record.unsupported` when a newer version wrote a manifest; those of the store.
    pub(crate) async fn keys_of_manifests(
        &self,
        cx: &JobContext,
        set: &SetName,
        except: &HashSet<&BackupId>,
    ) -> Result<HashSet<ObjectKey>> {
        let mut named = HashSet::new();
        for key in self.keys_under(cx, &Place::Sets.of_set(set)?).await? {
            let Some((id, "")) = Place::Sets.parse_in(set, &key) else { continue };
            if except.contains(&id) {
                continue;
            }
            let artifacts = async {
                let Some(manifest) = self.read_manifest(cx, set, &id).await? else { return Ok(Vec::new()) };
                artifacts::of(self, cx, &manifest).await
            };
            match artifacts.await {
                Ok(artifacts) => named.extend(artifacts.into_iter().map(|artifact| artifact.key)),
                Err(error) if error.kind() == ErrorKind::Corrupt => {}
                Err(error) => return Err(error),
            }
        }
        Ok(named)
    }

    /// Leaves out what a record names.
    ///
    /// # Errors
    /// `record.unsupported` when a newer version wrote a record: nobody knows what that names.
    async fn without_named(
        &self,
        cx: &JobContext,
        set: &SetName,
        published: &[Arc<BackupInfo>],
        mut found: Vec<Found>,
    ) -> Result<Vec<Found>> {
        let mut named: HashSet<ObjectKey> = HashSet::new();
        for intent in read_all::<Intent>(self, cx, Place::Intents, set).await? {
            named.extend(intent.artifacts.into_iter().map(|artifact| artifact.key));
            found.retain(|candidate| candidate.object.key.strip_prefix(&intent.prefix).is_none());
        }
        // Backups whose only object is known have been looked at: what is new is read, not the whole set each time.
        let whole = |info: &&Arc<BackupInfo>| info.state.is_published() && info.artifacts == 1 && info.first_key.is_some();
        let known: HashSet<&BackupId> = published.iter().filter(whole).map(|info| &info.id).collect();
        named.extend(self.keys_of_manifests(cx, set, &known).await?);
        for tombstone in read_all::<Tombstone>(self, cx, Place::Tombstones, set).await? {
            named.extend(tombstone.artifacts);
            found.retain(|candidate| candidate.object.key.strip_prefix(&tombstone.prefix).is_none());
        }
        found.retain(|candidate| !named.contains(&candidate.object.key));
        let mut adoptable = Vec::new();
        for candidate in found {
            if self.store().head_opt(cx, &candidate.object.key).await?.is_some() {
                adoptable.push(candidate);
            }
        }
        Ok(adoptable)
    }
}
