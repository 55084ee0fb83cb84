//! Whether a key outside of a backup's own prefix may be used.

use futures::TryStreamExt;

use super::Repository;
use crate::context::JobContext;
use crate::error::Result;
use crate::key::ObjectKey;
use crate::layout::Place;
use crate::name::SetName;
use crate::record::{self, Intent, MAX_RECORD, Record, Tombstone};
use crate::store::{ListOptions, StoreExt};

/// True when an object holds `key`, or a record names it: what an intent or a tombstone names may yet be removed by
/// whoever finishes the clean-up, and a new object under that name would go with it.
///
/// The object is looked for first: a removal puts its tombstone before it removes the object, so a key found free
/// after a removal is still named, until that removal is over.
pub(crate) async fn is_taken(repository: &Repository, cx: &JobContext, set: &SetName, key: &ObjectKey) -> Result<bool> {
    if repository.store().head_opt(cx, key).await?.is_some() {
        return Ok(true);
    }
    let names_it = |intent: &Intent| intent.artifacts.iter().any(|artifact| artifact.key == *key);
    if read_all::<Intent>(repository, cx, Place::Intents, set).await?.iter().any(names_it) {
        return Ok(true);
    }
    let tombstones = read_all::<Tombstone>(repository, cx, Place::Tombstones, set).await?;
    Ok(tombstones.iter().any(|tombstone| tombstone.artifacts.contains(key)))
}

/// The readable records of one kind of a set. Ones that vanish meanwhile or are damaged are left out: the janitor reports those.
pub(crate) async fn read_all<R: Record>(repository: &Repository, cx: &JobContext, place: Place, set: &SetName) -> Result<Vec<R>> {
    let store = repository.store();
    let mut listing = store.list(cx, &place.of_set(set)?, ListOptions::default());
    let mut records = Vec::new();
    while let Some(object) = listing.try_next().await? {
        if place.parse_in(set, &object.key).is_none() {
            continue;
        }
        if let Some(bytes) = store.get_opt(cx, &object.key, MAX_RECORD).await?
            && let Ok(record) = record::open::<R>(&bytes)
        {
            records.push(record);
        }
    }
    Ok(records)
}
