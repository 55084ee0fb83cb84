//! What backups there are. The store knows; the catalogue only remembers what it read.
//!
//! Names come from listings; a manifest is read once, when something of it is needed. "Latest" reads from the newest back
//! until it finds a good one, not all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::{Repository, artifacts};
use crate::context::JobContext;
use crate::error::{Error, ErrorKind, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::layout::{self, Place};
use crate::manifest::Manifest;
use crate::name::{BackupId, SetName};
use crate::record::{self, Aborted, Claims, MAX_RECORD, Record};
use crate::revision::Revision;
use crate::store::{ListOptions, ObjectMeta, StoreExt};

/// Manifests read at a time.
const READS: usize = 16;

/// What a listing says of a backup. Cheap to share; holds no block digests.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BackupInfo {
    /// The set.
    pub set: SetName,
    /// The id.
    pub id: BackupId,
    /// When the capture began, by the clock of the machine that made it.
    pub created_at: DateTime<Utc>,
    /// Published, adopted, or damaged.
    pub state: State,
    /// Exempt from retention.
    pub pinned: bool,
    /// When it was last verified, and whether it was good.
    pub verified: Option<(DateTime<Utc>, bool)>,
    /// Which instance was backed up.
    pub identity: Option<String>,
    /// Its position.
    pub revision: Option<Revision>,
    /// Its version.
    pub version: Option<String>,
    /// All stored bytes together.
    pub stored_size: u64,
    /// How many artifacts it has.
    pub artifacts: u64,
    /// Where the only or first artifact is stored.
    pub first_key: Option<ObjectKey>,
    /// Backups this one needs.
    pub parents: Vec<BackupId>,
    /// How many warnings it was published with.
    pub warnings: u64,
    /// Until when the store refuses to remove it.
    pub retain_until: Option<DateTime<Utc>>,
}

/// What kind of entry a listing shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It has a manifest.
    Published,
    /// A file of another program without a manifest; its first verify gives it one.
    Adopted,
    /// Its manifest cannot be read; the text says why.
    Damaged(String),
    /// A newer version wrote it, and this one cannot use it; the text says what it lacks. Left alone.
    Unsupported(String),
}

impl State {
    /// True for an entry with a readable manifest.
    pub fn is_published(&self) -> bool {
        *self == Self::Published
    }
}

impl BackupInfo {
    /// Published or adopted, and not found damaged by its last verify.
    pub fn is_good(&self) -> bool {
        matches!(self.state, State::Published | State::Adopted) && self.verified.is_none_or(|(_, good)| good)
    }

    pub(crate) fn of(manifest: &Manifest) -> Self {
        let first = manifest.artifacts.first();
        Self {
            set: manifest.set.clone(),
            id: manifest.id.clone(),
            created_at: manifest.created_at,
            state: State::Published,
            pinned: false,
            verified: None,
            identity: manifest.source.identity.clone(),
            revision: manifest.source.revision.clone(),
            version: manifest.source.version.clone(),
            stored_size: manifest.stored_size(),
            artifacts: manifest.inventory.as_ref().map_or(manifest.artifacts.len() as u64, |inventory| inventory.count),
            first_key: first.map(|artifact| artifact.key.clone()),
            parents: manifest.parents.clone(),
            warnings: manifest.warnings.len() as u64,
            retain_until: manifest.retain_until,
        }
    }

    fn damaged(set: &SetName, id: &BackupId, error: &Error) -> Self {
        Self::bare(set, id, id.time(), State::Damaged(error.to_string()))
    }

    /// An entry of which only this is known for sure: that it is there, and what it needs.
    fn unsupported(set: &SetName, id: &BackupId, error: &Error, members: &serde_json::Map<String, Value>) -> Self {
        let parents = members.get("parents").and_then(Value::as_array).into_iter().flatten();
        let parents = parents.filter_map(|parent| BackupId::new(parent.as_str()?).ok()).collect();
        Self { parents, ..Self::bare(set, id, id.time(), State::Unsupported(error.to_string())) }
    }

    pub(crate) fn bare(set: &SetName, id: &BackupId, created_at: DateTime<Utc>, state: State) -> Self {
        Self {
            set: set.clone(),
            id: id.clone(),
            created_at,
            state,
            pinned: false,
            verified: None,
            identity: None,
            revision: None,
            version: None,
            stored_size: 0,
            artifacts: 0,
            first_key: None,
            parents: Vec::new(),
            warnings: 0,
            retain_until: None,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    sets: Mutex<HashMap<SetName, BTreeMap<BackupId, Slot>>>,
}

/// One object at a manifest key.
#[derive(Debug, Clone)]
struct Slot {
    /// As it was listed: another size or time means another object.
    seen: Option<(u64, Option<DateTime<Utc>>)>,
    read: Option<Read>,
}

#[derive(Debug, Clone)]
enum Read {
    Backup(Arc<BackupInfo>),
    Aborted,
}

impl Catalogue {
    fn locked(&self) -> MutexGuard<'_, HashMap<SetName, BTreeMap<BackupId, Slot>>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a backup that was just published.
    pub(crate) fn insert(&self, manifest: &Manifest) -> Arc<BackupInfo> {
        let info = Arc::new(BackupInfo::of(manifest));
        let slot = Slot { seen: None, read: Some(Read::Backup(Arc::clone(&info))) };
        self.locked().entry(manifest.set.clone()).or_default().insert(manifest.id.clone(), slot);
        info
    }

    /// Forgets a backup that was just removed.
    pub(crate) fn forget(&self, set: &SetName, id: &BackupId) {
        if let Some(slots) = self.locked().get_mut(set) {
            slots.remove(id);
        }
    }

    fn merge_listing(&self, set: &SetName, listed: Vec<(BackupId, ObjectMeta)>) {
        let mut sets = self.locked();
        let slots = sets.entry(set.clone()).or_default();
        let mut known = std::mem::take(slots);
        for (id, meta) in listed {
            let seen = Some((meta.size, meta.modified));
            let read = known.remove(&id).filter(|slot| slot.seen.is_none() || slot.seen == seen).and_then(|slot| slot.read);
            slots.insert(id, Slot { seen, read });
        }
    }

    fn unread(&self, set: &SetName) -> Vec<BackupId> {
        let sets = self.locked();
        let slots = sets.get(set).into_iter().flatten();
        slots.filter(|(_, slot)| slot.read.is_none()).map(|(id, _)| id.clone()).collect()
    }

    fn ids_newest_first(&self, set: &SetName) -> Vec<(BackupId, Option<Read>)> {
        let sets = self.locked();
        sets.get(set).into_iter().flatten().rev().map(|(id, slot)| (id.clone(), slot.read.clone())).collect()
    }

    fn remember(&self, set: &SetName, id: &BackupId, read: Option<Read>) {
        if let Some(slots) = self.locked().get_mut(set) {
            match (read, slots.get_mut(id)) {
                (Some(read), Some(slot)) => slot.read = Some(read),
                _ => {
                    slots.remove(id);
                }
            }
        }
    }

    fn infos(&self, set: &SetName) -> Vec<Arc<BackupInfo>> {
        let sets = self.locked();
        let slots = sets.get(set).into_iter().flatten();
        slots
            .filter_map(|(_, slot)| match &slot.read {
                Some(Read::Backup(info)) => Some(Arc::clone(info)),
                _ => None,
            })
            .collect()
    }
}

/// What the names of pin and verify records say.
#[derive(Debug, Default)]
struct Marks {
    pins: std::collections::BTreeSet<BackupId>,
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
    /// The sets that hold at least one backup or aborted record, by a listing of names.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sets(&self, cx: &JobContext) -> Result<Vec<SetName>> {
        let mut listing = self.store().list(cx, &Place::Sets.root()?, ListOptions::default());
        let mut sets = std::collections::BTreeSet::new();
        while let Some(object) = listing.try_next().await? {
            sets.extend(Place::Sets.parse(&object.key).map(|(set, _, _)| set));
        }
        Ok(sets.into_iter().collect())
    }

    /// The backups of a set, oldest first, as the store has them now: adopted and damaged ones included, aborted ones not.
    ///
    /// Reads only manifests that were not read before.
    ///
    /// # Errors
    /// Those of the store. A manifest that cannot be read is an entry of [`State::Damaged`], no error.
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
        match artifacts::check_stored(self, cx, &manifest).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn refresh(&self, cx: &JobContext, set: &SetName) -> Result<()> {
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
                Ok(manifest) => BackupInfo::of(&manifest),
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
