//! What backups there are. The store knows; the catalogue only remembers what it read.
//!
//! Names come from listings; a manifest is read once, when something of it is needed. "Latest" reads from the newest back
//! until it finds a good one, not all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::info::BackupInfo;
use crate::key::ObjectKey;
use crate::name::{BackupId, SetName};
use crate::naming::Description;
use crate::store::ObjectMeta;

#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    sets: Mutex<HashMap<SetName, BTreeMap<BackupId, Slot>>>,
    /// What heads without a manifest say that lists show.
    heads: Mutex<HashMap<ObjectKey, Description>>,
    /// A manifest of an adopted backup could not be put.
    keeps_nothing: AtomicBool,
}

/// One object at a manifest key.
#[derive(Debug, Clone)]
struct Slot {
    /// As it was listed: another size or time means another object.
    seen: Option<(u64, Option<DateTime<Utc>>)>,
    read: Option<Read>,
}

#[derive(Debug, Clone)]
pub(super) enum Read {
    Backup(Arc<BackupInfo>),
    Aborted,
}

impl Catalogue {
    fn locked(&self) -> MutexGuard<'_, HashMap<SetName, BTreeMap<BackupId, Slot>>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a backup that was just published.
    pub(crate) fn insert(&self, info: BackupInfo) -> Arc<BackupInfo> {
        let info = Arc::new(info);
        let slot = Slot { seen: None, read: Some(Read::Backup(Arc::clone(&info))) };
        self.locked().entry(info.set.clone()).or_default().insert(info.id.clone(), slot);
        info
    }

    /// What a head said when it was read.
    pub(super) fn described(&self, head: &ObjectKey) -> Option<Description> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).get(head).cloned()
    }

    /// Remembers of a head what lists show.
    pub(super) fn remember_head(&self, head: &ObjectKey, description: &Description) {
        let Description { identity, parent, .. } = description.clone();
        let shown = Description { identity, parent, ..Description::default() };
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).insert(head.clone(), shown);
    }

    /// True when manifests of adopted backups cannot be put here.
    pub(super) fn keeps_nothing(&self) -> bool {
        self.keeps_nothing.load(Ordering::Relaxed)
    }

    pub(super) fn note_keeps_nothing(&self) {
        self.keeps_nothing.store(true, Ordering::Relaxed);
    }

    /// Forgets a backup that was just removed.
    pub(crate) fn forget(&self, set: &SetName, id: &BackupId) {
        if let Some(slots) = self.locked().get_mut(set) {
            slots.remove(id);
        }
    }

    pub(super) fn merge_listing(&self, set: &SetName, listed: Vec<(BackupId, ObjectMeta)>) {
        let mut sets = self.locked();
        let slots = sets.entry(set.clone()).or_default();
        let mut known = std::mem::take(slots);
        for (id, meta) in listed {
            let seen = Some((meta.size, meta.modified));
            let read = known.remove(&id).filter(|slot| slot.seen.is_none() || slot.seen == seen).and_then(|slot| slot.read);
            slots.insert(id, Slot { seen, read });
        }
    }

    pub(super) fn unread(&self, set: &SetName) -> Vec<BackupId> {
        let sets = self.locked();
        let slots = sets.get(set).into_iter().flatten();
        slots.filter(|(_, slot)| slot.read.is_none()).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn ids_newest_first(&self, set: &SetName) -> Vec<(BackupId, Option<Read>)> {
        let sets = self.locked();
        sets.get(set).into_iter().flatten().rev().map(|(id, slot)| (id.clone(), slot.read.clone())).collect()
    }

    pub(super) fn remember(&self, set: &SetName, id: &BackupId, read: Option<Read>) {
        if let Some(slots) = self.locked().get_mut(set) {
            match (read, slots.get_mut(id)) {
                (Some(read), Some(slot)) => slot.read = Some(read),
                _ => {
                    slots.remove(id);
                }
            }
        }
    }

    pub(super) fn infos(&self, set: &SetName) -> Vec<Arc<BackupInfo>> {
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
