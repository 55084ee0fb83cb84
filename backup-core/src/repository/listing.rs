//! Asking a repository what backups there are.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::catalogue::Read;
use super::info::BackupInfo;
use super::{Repository, artifacts};
use crate::context::JobContext;
use crate::error::{Error, ErrorKind, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::layout::{self, Place};
use crate::manifest::Manifest;
use crate::name::{BackupId, SetName};
use crate::record::{self, Aborted, Claims, MAX_RECORD, Record};
use crate::store::{ListOptions, StoreExt};

/// Manifests read at a time.
const READS: usize = 16;

/// What the names of pin and verify records say.
#[derive(Debug, Default)]
struct Marks {
    pins: BTreeSet<BackupId>,
    verified: HashMap<BackupId, (DateTime<Utc>, bool)>,
}

impl Marks {
    fn apply(&self, info: &Arc<BackupInfo>) -> Arc<BackupInfo> {
        let (pinned, verified) = (self.pins.contains(&info.id), self.verified.get(&info.id).copied());
        if info.pinned == pinned && info.verified == verified {
            return Arc::clone(info);
        }
        Arc::new(BackupInfo { pinned, verified, ..(**info).clone() })
    }
}

fn manifest_of(set: &SetName, id: &BackupId, members: serde_json::Map<String, Value>) -> Result<Manifest> {
    let manifest = record::parse::<Manifest>(members)?.checked()?;
    manifest.check_claims(set, id)?;
    Ok(manifest)
}

impl Repository {
    /// The sets that hold at least one backup or aborted record, by a listing of names; and those of other programs' files, where
    /// [`Naming::finds_sets`](crate::naming::Naming::finds_sets).
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sets(&self, cx: &JobContext) -> Result<Vec<SetName>> {
        let mut listing = self.store().list(cx, &Place::Sets.root()?, ListOptions::default());
        let mut sets = BTreeSet::new();
        while let Some(object) = listing.try_next().await? {
            sets.extend(Place::Sets.parse(&object.key).map(|(set, _, _)| set));
        }
        if self.naming().finds_sets() {
            self.adoptable_sets(cx, &mut sets).await?;
        }
        Ok(sets.into_iter().collect())
    }

    /// The backups of a set, oldest first, as the store has them now: adopted and damaged ones included, aborted ones not.
    ///
    /// Reads only manifests that were not read before.
    ///
    /// # Errors
    /// Those of the store. A manifest that cannot be read is an entry of [`State::Damaged`](super::State::Damaged), no error.
    pub async fn list(&self, cx: &JobContext, set: &SetName) -> Result<Vec<Arc<BackupInfo>>> {
        self.refresh(cx, set).await?;
        let marks = self.marks(cx, set).await?;
        let mut infos: Vec<_> = self.cached(set);
        let adopted = self.adoptable(cx, set, &infos).await?;
        if !adopted.is_empty() {
            infos.extend(adopted);
            infos.sort_by(|a, b| a.id.cmp(&b.id));
        }
        Ok(infos.iter().map(|info| marks.apply(info)).collect())
    }

    /// The published backups of a set that this process knows of, oldest first, without asking the store: as of its last look, and
    /// without pins and verify outcomes.
    pub fn cached(&self, set: &SetName) -> Vec<Arc<BackupInfo>> {
        self.catalogue().infos(set)
    }

    /// The newest good backup of a set, `None` when there is none.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn latest(&self, cx: &JobContext, set: &SetName) -> Result<Option<Arc<BackupInfo>>> {
        self.newest_good(cx, set).await
    }

    /// The newest good backup of exactly this revision number or name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn by_revision(
        &self,
        cx: &JobContext,
        set: &SetName,
        position: &crate::Position,
    ) -> Result<Option<Arc<BackupInfo>>> {
        let of_revision =
            |info: &Arc<BackupInfo>| info.is_good() && info.revision.as_ref().is_some_and(|r| r.position == *position);
        Ok(self.list(cx, set).await?.into_iter().rev().find(of_revision))
    }

    /// The newest good backup that began at or before `time`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn by_time(&self, cx: &JobContext, set: &SetName, time: DateTime<Utc>) -> Result<Option<Arc<BackupInfo>>> {
        Ok(self.list(cx, set).await?.into_iter().rev().find(|info| info.is_good() && info.created_at <= time))
    }

    /// One backup.
    ///
    /// # Errors
    /// `backup.not_found`; those of the store.
    pub async fn get(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<Arc<BackupInfo>> {
        let found = self.list(cx, set).await?.into_iter().find(|info| info.id == *id);
        found.ok_or_else(|| Error::new(&codes::BACKUP_NOT_FOUND, format!("there is no backup {id} in {set}")))
    }

    /// Reads the manifest of a published backup.
    ///
    /// # Errors
    /// `backup.not_found`, also for an aborted one; `record.corrupt`, `record.unsupported`; those of the store.
    pub async fn manifest(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<Manifest> {
        self.read_manifest(cx, set, id)
            .await?
            .ok_or_else(|| Error::new(&codes::BACKUP_NOT_FOUND, format!("there is no published backup {id} in {set}")))
    }

    pub(crate) async fn newest_good(&self, cx: &JobContext, set: &SetName) -> Result<Option<Arc<BackupInfo>>> {
        // Adopted files have no manifest to stop at: with them the whole (short) list decides.
        if self.naming().adoptable_prefix(set).is_some() {
            return Ok(self.list(cx, set).await?.into_iter().rev().find(|info| info.is_good()));
        }
        self.list_names(cx, set).await?;
        let marks = self.marks(cx, set).await?;
        for (id, read) in self.catalogue().ids_newest_first(set) {
            let read = match read {
                Some(read) => Some(read),
                None => self.read_slot(cx, set, &id).await?,
            };
            if let Some(Read::Backup(info)) = read {
                let info = marks.apply(&info);
                if info.is_good() {
                    return Ok(Some(info));
                }
            }
        }
        Ok(None)
    }

    /// The newest id at a manifest key, whatever stands there, as known after the last listing.
    pub(crate) async fn newest_id(&self, cx: &JobContext, set: &SetName) -> Result<Option<BackupId>> {
        self.list_names(cx, set).await?;
        Ok(self.catalogue().ids_newest_first(set).into_iter().next().map(|(id, _)| id))
    }

    /// True when every object of a backup is there with its size, and its manifest, too.
    pub(crate) async fn is_there(&self, cx: &JobContext, info: &BackupInfo) -> Result<bool> {
        let Some(manifest) = self.read_manifest(cx, &info.set, &info.id).await? else { return Ok(false) };
        let checked =
            async { artifacts::check_written(self, cx, &manifest.prefix, &artifacts::of(self, cx, &manifest).await?).await };
        match checked.await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What a listing says of a published backup.
    pub(crate) fn info(&self, manifest: &Manifest) -> BackupInfo {
        BackupInfo { group: self.naming().group_of(&manifest.source), ..BackupInfo::of(manifest) }
    }

    pub(crate) async fn refresh(&self, cx: &JobContext, set: &SetName) -> Result<()> {
        self.list_names(cx, set).await?;
        futures::stream::iter(self.catalogue().unread(set))
            .map(|id| async move { self.read_slot(cx, set, &id).await.map(drop) })
            .buffer_unordered(READS)
            .try_collect()
            .await
    }

    async fn list_names(&self, cx: &JobContext, set: &SetName) -> Result<()> {
        let mut listing = self.store().list(cx, &Place::Sets.of_set(set)?, ListOptions::default());
        let mut listed = Vec::new();
        while let Some(object) = listing.try_next().await? {
            if let Some((id, "")) = Place::Sets.parse_in(set, &object.key) {
                listed.push((id, object));
            }
        }
        self.catalogue().merge_listing(set, listed);
        Ok(())
    }

    async fn read_slot(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<Option<Read>> {
        let read = match self.read_members(cx, set, id).await {
            Ok(Some(members)) => Some(match manifest_of(set, id, members.clone()) {
                Ok(manifest) => self.info(&manifest),
                Err(error) if error.kind() == ErrorKind::Unsupported => BackupInfo::unsupported(set, id, &error, &members),
                Err(error) => BackupInfo::damaged(set, id, &error),
            }),
            Ok(None) => None,
            Err(error) if error.kind() == ErrorKind::Corrupt => Some(BackupInfo::damaged(set, id, &error)),
            Err(error) => return Err(error),
        };
        let read = match read {
            Some(info) => Some(Read::Backup(Arc::new(info))),
            None => self.aborted_or_gone(cx, set, id).await?,
        };
        self.catalogue().remember(set, id, read.clone());
        Ok(read)
    }

    async fn aborted_or_gone(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<Option<Read>> {
        let there = self.store().head_opt(cx, &layout::manifest_key(set, id)?).await?;
        Ok(there.map(|_| Read::Aborted))
    }

    /// The manifest of a backup, `None` when nothing or an aborted record stands there.
    pub(crate) async fn read_manifest(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<Option<Manifest>> {
        self.read_members(cx, set, id).await?.map(|members| manifest_of(set, id, members)).transpose()
    }

    /// The checked members of what may be a manifest, `None` when nothing or an aborted record stands there.
    async fn read_members(
        &self,
        cx: &JobContext,
        set: &SetName,
        id: &BackupId,
    ) -> Result<Option<serde_json::Map<String, Value>>> {
        let Some(bytes) = self.record_bytes(cx, &layout::manifest_key(set, id)?).await? else { return Ok(None) };
        let members = record::check(&bytes)?;
        Ok((record::format_of(&members) != Aborted::FORMAT).then_some(members))
    }

    /// The bytes of a record, `None` when it is not there.
    ///
    /// # Errors
    /// `record.corrupt` for an object that is too big to be one; those of the store.
    pub(crate) async fn record_bytes(&self, cx: &JobContext, key: &ObjectKey) -> Result<Option<Bytes>> {
        match self.store().get_opt(cx, key, MAX_RECORD).await {
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                Err(Error::new(&codes::RECORD_CORRUPT, format!("{key} is no record")).with_source(error))
            }
            other => other,
        }
    }

    async fn marks(&self, cx: &JobContext, set: &SetName) -> Result<Marks> {
        let mut marks = Marks::default();
        for key in self.keys_under(cx, &Place::Pins.of_set(set)?).await? {
            marks.pins.extend(Place::Pins.parse_in(set, &key).map(|(id, _)| id));
        }
        // In key order the newest record of a backup comes last and stays.
        for key in self.keys_under(cx, &Place::Verified.of_set(set)?).await? {
            if let Some((id, rest)) = Place::Verified.parse_in(set, &key)
                && let Some(outcome) = layout::parse_verified(rest)
            {
                marks.verified.insert(id, outcome);
            }
        }
        Ok(marks)
    }

    pub(crate) async fn keys_under(&self, cx: &JobContext, prefix: &KeyPrefix) -> Result<Vec<ObjectKey>> {
        let listing = self.store().list(cx, prefix, ListOptions::default());
        listing.map_ok(|object| object.key).try_collect().await
    }
}
