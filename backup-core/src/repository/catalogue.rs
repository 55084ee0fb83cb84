//! What backups there are. The store knows; the catalogue only remembers what it read.
//!
//! Names come from listings; a manifest is read once, when something of it is needed. "Latest" reads from the newest back
//! until it finds a good one, not all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};

use super::info::BackupInfo;
use crate::manifest::Manifest;
use crate::name::{BackupId, SetName};
use crate::store::ObjectMeta;

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
pub(super) enum Read {
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
