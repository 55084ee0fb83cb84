//! Giving files of another program a manifest: what a verify and the first reading do.

use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt;

use super::adoptable::Found;
use super::info::{BackupInfo, State};
use super::packed::Artifacts;
use super::publish::publish;
use super::{Repository, blocks, decode, external, inventory};
use crate::context::JobContext;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result, ResultExt, codes};
use crate::event::Event;
use crate::key::ObjectKey;
use crate::layout;
use crate::manifest::{Artifact, Compression, MAX_INLINE_ARTIFACTS, Manifest, SourceInfo, Stored};
use crate::name::{BackupId, SetName};
use crate::naming::{Adoptable, Description, own_prefix};
use crate::store::{ObjectMeta, StoreExt};

/// Files of one backup read at a time.
const READS: usize = 4;

/// An adopted backup.
pub(crate) struct Adopted {
    pub(crate) manifest: Manifest,
    /// Its artifacts, where the store could not keep what was found out.
    pub(crate) unkept: Option<Artifacts>,
}

/// A backup without a manifest whose head was read.
struct Link {
    found: Found,
    head: Stored,
    description: Description,
    parents: Vec<BackupId>,
    warnings: Vec<String>,
}

impl Repository {
    /// As [`Repository::list`], and what those backups of another program need that have no manifest yet: their heads are
    /// read for it, once by this process.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_with_parents(&self, cx: &JobContext, set: &SetName) -> Result<Vec<Arc<BackupInfo>>> {
        let mut infos = self.list(cx, set).await?;
        let by_group: HashMap<String, BackupId> =
            infos.iter().filter_map(|info| Some((info.group.clone()?, info.id.clone()))).collect();
        for info in &mut infos {
            let (State::Adopted, Some(key)) = (&info.state, &info.first_key) else { continue };
            let known = self.catalogue().described(key);
            let description = match known {
                Some(description) => description,
                None => match self.described_head(cx, set, key).await {
                    Ok(described) => described.map(|(_, description)| description).unwrap_or_default(),
                    // It went away, or is none: there is no telling what it needs.
                    Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => Description::default(),
                    Err(error) => return Err(error),
                },
            };
            let parents = description.parent.iter().filter_map(|parent| by_group.get(parent).cloned()).collect();
            *info = Arc::new(BackupInfo { parents, identity: description.identity, ..(**info).clone() });
        }
        Ok(infos)
    }

    /// What the head of an adopted entry says; `None` for an entry of another kind, and where the naming reads none.
    ///
    /// # Errors
    /// `artifact.corrupt`; those of the store.
    pub async fn description(&self, cx: &JobContext, info: &BackupInfo) -> Result<Option<Description>> {
        let (State::Adopted, Some(key)) = (&info.state, &info.first_key) else { return Ok(None) };
        Ok(self.described_head(cx, &info.set, key).await?.map(|(_, description)| description))
    }

    /// Gives the files behind an adopted entry a manifest: reads them once, and publishes their digests under the entry's id.
    /// The files themselves are left as they are. The backups that it needs come first.
    ///
    /// # Errors
    /// `backup.not_found`; `artifact.corrupt`, `artifact.missing` for a group that is not what its head says; those of the store.
    pub(crate) async fn adopt(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<Adopted> {
        let (found, others) = self.find_adopted(cx, set, id).await?;
        let mut chain = self.chain(cx, set, found, others).await?;
        while let Some(link) = chain.pop() {
            if chain.is_empty() {
                return self.adopt_one(cx, set, link).await;
            }
            // Where nothing can be kept they would be read for nothing.
            if !self.catalogue().keeps_nothing() {
                let id = link.found.id();
                self.adopt_one(cx, set, link).await.context(|| format!("adopting {id}, which another backup needs"))?;
            }
        }
        Err(Error::new(&codes::INTERNAL, "a chain without a backup"))
    }

    /// The backup, behind it those that it needs and that have no manifest either.
    async fn chain(&self, cx: &JobContext, set: &SetName, found: Found, others: Vec<Found>) -> Result<Vec<Link>> {
        let mut others: HashMap<String, Found> =
            others.into_iter().filter_map(|found| Some((found.group()?.to_owned(), found))).collect();
        let mut chain: Vec<Link> = Vec::new();
        let mut next = Some(found);
        while let Some(found) = next.take() {
            let (head, description) = self.read_head(cx, set, &found.object.key).await?;
            if head.size != found.object.size {
                return Err(changed(&found.object.key));
            }
            let mut link = Link { found, head, description, parents: Vec::new(), warnings: Vec::new() };
            if let Some(parent) = link.description.parent.clone() {
                if let Some(published) = self.published_group(cx, set, &parent).await? {
                    link.parents.push(published);
                } else if let Some(found) = others.remove(&parent) {
                    link.parents.push(found.id());
                    next = Some(found);
                } else if chain.iter().any(|link| link.found.group() == Some(&parent)) || link.found.group() == Some(&parent) {
                    let what = format!("{} needs `{parent}`, which needs it", link.found.object.key);
                    return Err(Error::new(&codes::ARTIFACT_CORRUPT, what));
                } else {
                    link.warnings.push(format!(
                        "it needs the backup `{parent}`, which is not in {set}: it cannot be restored without that"
                    ));
                }
            }
            chain.push(link);
        }
        Ok(chain)
    }

    /// The published backup that is a group to others.
    async fn published_group(&self, cx: &JobContext, set: &SetName, group: &str) -> Result<Option<BackupId>> {
        self.refresh(cx, set).await?;
        let of_group = |info: &Arc<BackupInfo>| info.state.is_published() && info.group.as_deref() == Some(group);
        Ok(self.cached(set).into_iter().rev().find(of_group).map(|info| info.id.clone()))
    }

    /// The digests of a head, or of a file that is a backup of its own, and what it says.
    async fn read_head(&self, cx: &JobContext, set: &SetName, key: &ObjectKey) -> Result<(Stored, Description)> {
        match self.described_head(cx, set, key).await? {
            Some(described) => Ok(described),
            None => Ok((external::digest(self, cx, key).await?, Description::default())),
        }
    }

    /// Reads a head that says something beyond its name.
    async fn described_head(&self, cx: &JobContext, set: &SetName, key: &ObjectKey) -> Result<Option<(Stored, Description)>> {
        let Some(mut describe) = self.naming().describe(set, key) else { return Ok(None) };
        let stored = external::digest_of(self, cx, key, |bytes| describe.feed(bytes)).await;
        let description = |stored| Ok((stored, describe.end()?));
        let (stored, description) = stored.and_then(description).context(|| format!("reading {key}"))?;
        self.catalogue().remember_head(key, &description);
        Ok(Some((stored, description)))
    }

    async fn adopt_one(&self, cx: &JobContext, set: &SetName, link: Link) -> Result<Adopted> {
        let Link { found, head, description, parents, warnings } = link;
        let id = found.id();
        let mut artifacts = Artifacts::default();
        artifacts.push(&self.artifact(cx, &found.object, &found.file, head).await?);
        if let Some(group) = found.group() {
            self.rest_of_group(cx, set, group, &found.object.key, &mut artifacts).await?;
        }
        if let Some(files) = description.files.filter(|files| *files != artifacts.len() as u64) {
            let what = format!("{} tells of {files} files, and {} are there", found.object.key, artifacts.len());
            return Err(Error::new(&codes::ARTIFACT_MISSING, what));
        }
        warnings.iter().for_each(|warning| cx.event(Event::Warning(format!("{id} of {set}: {warning}"))));
        let mut manifest = Manifest {
            set: set.clone(),
            id: id.clone(),
            required_features: Vec::new(),
            job: cx.job().clone(),
            lease_generation: 0,
            created_at: found.file.created_at,
            published_at: cx.clock().now(),
            source: SourceInfo {
                kind: description.kind.unwrap_or_else(|| "adopted".into()),
                identity: description.identity,
                revision: found.revision(),
                version: found.file.version,
                integrity: description.integrity,
                log: None,
            },
            parents,
            prefix: own_prefix(set, &id)?,
            artifacts: Vec::new(),
            inventory: None,
            adopted: true,
            retain_until: None,
            warnings,
            labels: serde_json::Map::new(),
            unknown: serde_json::Map::new(),
        };
        match self.publish_adopted(cx, &mut manifest, &artifacts).await {
            Ok(()) => {}
            // Somebody else adopted it meanwhile.
            Err(error) if *error.code() == codes::PUBLISH_CONFLICT => {
                return Ok(Adopted { manifest: self.manifest(cx, set, &id).await?, unkept: None });
            }
            // Where nothing can be written the files can be restored all the same, by the digests of this reading.
            Err(error) if matches!(error.kind(), ErrorKind::NoSpace | ErrorKind::PermissionDenied) => {
                self.catalogue().note_keeps_nothing();
                cx.event(Event::Warning(format!(
                    "the digests of {id} in {set} cannot be kept, and are made at each reading: {error}"
                )));
                return Ok(Adopted { manifest, unkept: Some(artifacts) });
            }
            Err(error) => return Err(error),
        }
        self.still_there(cx, &manifest, &found.object.key).await?;
        self.catalogue().insert(self.info(&manifest));
        Ok(Adopted { manifest, unkept: None })
    }

    /// Puts the manifest, before it the list of its artifacts when they are many.
    ///
    /// That list is called after its content: whoever else adopts the same files puts the same one, and what a crash leaves is taken up by the
    /// next one. It lies under the prefix of the id, so it goes when the backup does.
    async fn publish_adopted(&self, cx: &JobContext, manifest: &mut Manifest, artifacts: &Artifacts) -> Result<()> {
        if artifacts.len() <= MAX_INLINE_ARTIFACTS {
            manifest.artifacts = artifacts.iter().collect();
        } else {
            manifest.inventory = Some(inventory::write_once(self, cx, &manifest.prefix, artifacts).await?);
            manifest.required_features.push("inventory".to_owned());
        }
        publish(&**self.store(), cx, manifest).await
    }

    /// Adds the files of a group but its head, each read once.
    async fn rest_of_group(
        &self,
        cx: &JobContext,
        set: &SetName,
        group: &str,
        head: &ObjectKey,
        artifacts: &mut Artifacts,
    ) -> Result<()> {
        let members = self.members(cx, set, group).try_filter(|(object, _)| std::future::ready(object.key != *head));
        let read = |(object, file): (ObjectMeta, Adoptable)| async move {
            let stored = external::digest(self, cx, &object.key).await?;
            self.artifact(cx, &object, &file, stored).await
        };
        let mut read = std::pin::pin!(members.map_ok(read).try_buffered(READS));
        while let Some(artifact) = read.try_next().await? {
            artifacts.push(&artifact);
        }
        Ok(())
    }

    async fn artifact(&self, cx: &JobContext, object: &ObjectMeta, file: &Adoptable, stored: Stored) -> Result<Artifact> {
        if stored.size != object.size {
            return Err(changed(&object.key));
        }
        let (size, sha256) = self.plaintext(cx, &object.key, file, &stored).await?;
        let (name, key) = (file.artifact.clone(), object.key.clone());
        Ok(Artifact { name, key, compression: file.compression, size, sha256, stored })
    }

    /// A removal may have begun since the files were found. It puts its tombstone first and removes the files before it drops that: so
    /// after our manifest either we see one of these, or it sees the manifest. Of a group the head is looked for.
    async fn still_there(&self, cx: &JobContext, manifest: &Manifest, head: &ObjectKey) -> Result<()> {
        let (set, id) = (&manifest.set, &manifest.id);
        if self.store().head_opt(cx, &layout::tombstone_key(set, id)?).await?.is_none()
            && self.store().head_opt(cx, head).await?.is_some()
        {
            return Ok(());
        }
        let mut keys = vec![layout::manifest_key(set, id)?];
        keys.extend(manifest.inventory.iter().map(|inventory| inventory.key.clone()));
        self.store().delete(cx, &keys).await?.into_result()?;
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
}

fn changed(key: &ObjectKey) -> Error {
    Error::new(&codes::STORE_BUSY, format!("{key} changed while it was read"))
}
