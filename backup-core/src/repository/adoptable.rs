//! Which files of another program a set holds: listed beside the published backups until a verify gives them a manifest.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::info::{BackupInfo, State};
use super::packed::Artifacts;
use super::taken::read_all;
use super::{Repository, artifacts};
use crate::context::JobContext;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result, codes};
use crate::event::Event;
use crate::key::{KeyPrefix, ObjectKey};
use crate::layout::{Place, RESERVED};
use crate::name::{BackupId, SetName};
use crate::naming::Adoptable;
use crate::record::{Intent, Tombstone};
use crate::revision::{Certainty, Revision};
use crate::store::{ListOptions, ObjectMeta, StoreExt};

/// Looks for files under way at a time.
const HEADS: usize = 8;

/// An adoptable backup: a file, or a group of them by its head.
pub(crate) struct Found {
    pub(crate) object: ObjectMeta,
    pub(crate) file: Adoptable,
    /// The bytes of all files.
    pub(crate) size: u64,
    pub(crate) count: u64,
}

/// The files of a group as far as a listing has shown them.
#[derive(Default)]
struct Group {
    head: Option<(ObjectMeta, Adoptable)>,
    size: u64,
    count: u64,
}

impl Found {
    /// The id of an adopted backup, the same at each listing: its time, its place within that, and a hash of its key.
    pub(crate) fn id(&self) -> BackupId {
        let [a, b, c, d, ..] = *Digest::of(self.object.key.as_str().as_bytes()).as_bytes();
        let hash = u32::from_be_bytes([a, b, c, d]);
        let tail = self.file.order.map_or(hash, |order| order << 12 | hash & 0xfff);
        BackupId::from_parts(self.file.created_at, tail)
    }

    pub(crate) fn group(&self) -> Option<&str> {
        self.file.group.as_ref().map(|member| member.group.as_str())
    }

    /// What it claims, as a lower bound at best.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.file.revision.clone().map(|revision| Revision { certainty: Certainty::AtLeast, ..revision })
    }

    fn into_info(self, set: &SetName) -> BackupInfo {
        let (id, group) = (self.id(), self.group().map(str::to_owned));
        BackupInfo {
            revision: self.revision(),
            stored_size: self.size,
            artifacts: self.count,
            group,
            version: self.file.version,
            first_key: Some(self.object.key),
            ..BackupInfo::bare(set, &id, self.file.created_at, State::Adopted)
        }
    }
}

impl Repository {
    /// The adoptable backups of a set that no record names, as list entries, besides the `published` ones.
    pub(crate) async fn adoptable(
        &self,
        cx: &JobContext,
        set: &SetName,
        published: &[Arc<BackupInfo>],
    ) -> Result<Vec<Arc<BackupInfo>>> {
        let found = self.find_adoptable(cx, set, published).await?;
        Ok(found.into_iter().map(|found| Arc::new(found.into_info(set))).collect())
    }

    /// What lies behind the id of an adopted entry, and the other adoptable backups of the set.
    pub(crate) async fn find_adopted(&self, cx: &JobContext, set: &SetName, id: &BackupId) -> Result<(Found, Vec<Found>)> {
        let published = self.cached(set);
        let mut found = self.find_adoptable(cx, set, &published).await?;
        let missing = || Error::new(&codes::BACKUP_NOT_FOUND, format!("there is no adoptable file {id} in {set}"));
        let place = found.iter().position(|found| found.id() == *id).ok_or_else(missing)?;
        Ok((found.swap_remove(place), found))
    }

    /// The sets of other programs' files. What is known already is passed over: a set of another program has a prefix of its own as a rule, and
    /// so do our own backups.
    pub(crate) async fn adoptable_sets(&self, cx: &JobContext, sets: &mut BTreeSet<SetName>) -> Result<()> {
        let own: Vec<KeyPrefix> = sets.iter().filter_map(|set| KeyPrefix::new(set.as_str()).ok()).collect();
        let reserved = KeyPrefix::new(RESERVED)?;
        let mut options = ListOptions::default();
        'listings: loop {
            let mut listing = self.store().list(cx, &KeyPrefix::root(), options);
            while let Some(object) = listing.try_next().await? {
                let found = self.naming().adoptable_set(&object);
                let passed = match &found {
                    Some(set) => self.naming().adoptable_prefix(set).filter(|prefix| *prefix != KeyPrefix::root()),
                    None => own.iter().chain([&reserved]).find(|prefix| object.key.strip_prefix(prefix).is_some()).cloned(),
                };
                sets.extend(found);
                // The first key behind a prefix: its slash, and one more.
                let behind = passed.and_then(|prefix| Some(format!("{}0", prefix.as_str().strip_suffix('/')?)));
                if let Some(behind) = behind.and_then(|key| ObjectKey::new(key).ok()) {
                    options = ListOptions::start_after(behind);
                    continue 'listings;
                }
            }
            return Ok(());
        }
    }

    /// The files of a group, in key order.
    pub(crate) fn members(
        &self,
        cx: &JobContext,
        set: &SetName,
        group: &str,
    ) -> BoxStream<'static, Result<(ObjectMeta, Adoptable)>> {
        let Some(prefix) = self.naming().adoptable_prefix(set) else { return futures::stream::empty().boxed() };
        let (repository, set, group) = (self.clone(), set.clone(), group.to_owned());
        let listing = self.store().list(cx, &prefix, ListOptions::default());
        let of_group = move |object: ObjectMeta| {
            let file = repository.naming().adopt(&set, &object).filter(|_| !object.key.as_str().starts_with(RESERVED));
            let file = file.filter(|file| file.group.as_ref().is_some_and(|member| member.group == group));
            std::future::ready(Ok(file.map(|file| (object, file))))
        };
        listing.try_filter_map(of_group).boxed()
    }

    /// A file is foreign only if no record names it, and our own come and go meanwhile. A backup puts its intent before its object and
    /// drops it after its manifest; a removal puts its tombstone before its manifest goes, and drops it after the object.
    /// So files are listed first, then intents, manifests, tombstones; and what remains must still be there at the end.
    ///
    /// Of a group all this is asked of its head: a record that names one of its files names them all.
    async fn find_adoptable(&self, cx: &JobContext, set: &SetName, published: &[Arc<BackupInfo>]) -> Result<Vec<Found>> {
        let Some(prefix) = self.naming().adoptable_prefix(set) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        // Of groups only sums are kept: there are thousands of files in each.
        let mut groups: HashMap<String, Group> = HashMap::new();
        let known: HashSet<&ObjectKey> = published.iter().filter_map(|info| info.first_key.as_ref()).collect();
        let mut listing = self.store().list(cx, &prefix, ListOptions::default());
        while let Some(object) = listing.try_next().await? {
            if object.key.as_str().starts_with(RESERVED) || known.contains(&object.key) {
                continue;
            }
            let Some(file) = self.naming().adopt(set, &object) else { continue };
            match &file.group {
                None => found.push(Found { size: object.size, count: 1, object, file }),
                Some(member) => {
                    if !groups.contains_key(&member.group) {
                        groups.insert(member.group.clone(), Group::default());
                    }
                    if let Some(group) = groups.get_mut(&member.group) {
                        (group.size, group.count) = (group.size.saturating_add(object.size), group.count + 1);
                        if member.head {
                            group.head = Some((object, file));
                        }
                    }
                }
            }
        }
        found.extend(groups.into_values().filter_map(|Group { head, size, count }| {
            let (object, file) = head?;
            Some(Found { object, file, size, count })
        }));
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

    /// Those of `wanted` that are artifacts of published backups of a set, the ones in `except` left out. What a damaged
    /// manifest names nobody knows.
    ///
    /// # Errors
    /// `record.unsupported` when a newer version wrote a manifest; those of the store.
    pub(crate) async fn named_by_manifests(
        &self,
        cx: &JobContext,
        set: &SetName,
        except: &HashSet<&BackupId>,
        wanted: &HashSet<ObjectKey>,
    ) -> Result<HashSet<ObjectKey>> {
        let mut named = HashSet::new();
        for key in self.keys_under(cx, &Place::Sets.of_set(set)?).await? {
            let Some((id, "")) = Place::Sets.parse_in(set, &key) else { continue };
            if except.contains(&id) {
                continue;
            }
            let artifacts = async {
                let Some(manifest) = self.read_manifest(cx, set, &id).await? else { return Ok(Artifacts::default()) };
                artifacts::of(self, cx, &manifest).await
            };
            match artifacts.await {
                Ok(artifacts) => named.extend(wanted.iter().filter(|key| artifacts.stored_at(key).is_some()).cloned()),
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
        found: Vec<Found>,
    ) -> Result<Vec<Found>> {
        // One adopted since it was listed has its own id: its manifest need not be read.
        let mut found: BTreeMap<ObjectKey, (BackupId, Found)> =
            found.into_iter().map(|found| (found.object.key.clone(), (found.id(), found))).collect();
        for intent in read_all::<Intent>(self, cx, Place::Intents, set).await? {
            intent.artifacts.iter().for_each(|artifact| drop(found.remove(&artifact.key)));
            found.retain(|key, _| key.strip_prefix(&intent.prefix).is_none());
        }
        let ids = self.keys_under(cx, &Place::Sets.of_set(set)?).await?;
        let ids: HashSet<BackupId> = ids.iter().filter_map(|key| Some(Place::Sets.parse_in(set, key)?.0)).collect();
        found.retain(|_, (id, found)| found.group().is_none() || !ids.contains(id));
        if self.naming().names_alike() && !found.is_empty() {
            // Backups whose only object is known have been looked at: what is new is read, not the whole set each time.
            let whole = |info: &&Arc<BackupInfo>| info.state.is_published() && info.artifacts == 1 && info.first_key.is_some();
            let known: HashSet<&BackupId> = published.iter().filter(whole).map(|info| &info.id).collect();
            let wanted = found.keys().cloned().collect();
            for key in self.named_by_manifests(cx, set, &known, &wanted).await? {
                found.remove(&key);
            }
        }
        for tombstone in read_all::<Tombstone>(self, cx, Place::Tombstones, set).await? {
            tombstone.artifacts.iter().for_each(|key| drop(found.remove(key)));
            found.retain(|key, _| key.strip_prefix(&tombstone.prefix).is_none());
        }
        let still_there = |found: Found| async move {
            let there = self.store().head_opt(cx, &found.object.key).await?.is_some();
            Ok::<_, Error>(there.then_some(found))
        };
        let looked_for = futures::stream::iter(found.into_values().map(|(_, found)| found)).map(still_there).buffered(HEADS);
        looked_for.try_filter_map(|found| std::future::ready(Ok(found))).try_collect().await
    }
}
