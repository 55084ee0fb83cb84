//! Whether a key outside of a backup's own prefix, or a directory that a contract names, may be used.

use chrono::{DateTime, Utc};
use futures::TryStreamExt;

use super::Repository;
use crate::context::JobContext;
use crate::error::{Error, ErrorKind, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::layout::Place;
use crate::name::{BackupId, DirectoryName, SetName};
use crate::naming::{directory_prefix, is_directory};
use crate::record::{self, Claims, Intent, Tombstone};
use crate::store::{ListOptions, StoreExt};

/// How often records are listed again when some vanish while they are read.
const LISTINGS: u32 = 100;

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

/// The prefix of a directory that nothing is in, and that no record claims.
///
/// # Errors
/// `store.exists`.
pub(crate) async fn free_directory(
    repository: &Repository,
    cx: &JobContext,
    set: &SetName,
    directory: &DirectoryName,
) -> Result<KeyPrefix> {
    let prefix = directory_prefix(set, directory)?;
    let taken =
        |why: &str| Err(Error::new(&codes::STORE_EXISTS, format!("the directory {prefix} {why}; nothing is overwritten")));
    // In the order of `is_taken`, for its reason.
    let mut listing = repository.store().list(cx, &prefix, ListOptions::default());
    if let Some(object) = listing.try_next().await? {
        return taken(&format!("holds {}", object.key));
    }
    if read_all::<Intent>(repository, cx, Place::Intents, set).await?.iter().any(|intent| intent.prefix == prefix) {
        return taken("belongs to a backup that is being made or cleaned up");
    }
    if read_all::<Tombstone>(repository, cx, Place::Tombstones, set).await?.iter().any(|tombstone| tombstone.prefix == prefix) {
        return taken("belongs to a backup that is being removed");
    }
    Ok(prefix)
}

/// Refuses to remove a directory that a published backup other than `id` lies in: the record that claims it lies.
///
/// # Errors
/// `record.corrupt`.
pub(crate) async fn check_directory(
    repository: &Repository,
    cx: &JobContext,
    set: &SetName,
    id: &BackupId,
    prefix: &KeyPrefix,
) -> Result<()> {
    if !is_directory(set, prefix) {
        return Ok(());
    }
    let backups = repository.list(cx, set).await?;
    match backups.iter().find(|info| info.id != *id && info.directory.as_ref() == Some(prefix)) {
        None => Ok(()),
        Some(other) => {
            let what = format!("a record of backup {id} of {set} claims {prefix}, which is that of backup {}", other.id);
            Err(Error::new(&codes::RECORD_CORRUPT, what))
        }
    }
}

/// One record of a kind that claims objects, as it was found.
pub(crate) struct Placed<R> {
    pub(crate) key: ObjectKey,
    pub(crate) set: SetName,
    pub(crate) id: BackupId,
    pub(crate) modified: Option<DateTime<Utc>>,
    pub(crate) record: Result<R>,
}

/// The records of one kind of a set. Damaged ones are left out: nobody acts on them, and the janitor reports them.
///
/// # Errors
/// `record.unsupported` when a newer version wrote one: what it claims is not known, and must not be taken for nothing.
pub(crate) async fn read_all<R: Claims>(repository: &Repository, cx: &JobContext, place: Place, set: &SetName) -> Result<Vec<R>> {
    let mut records = Vec::new();
    for found in read_placed::<R>(repository, cx, place, &place.of_set(set)?).await? {
        match found.record {
            _ if found.set != *set => {}
            Ok(record) => records.push(record),
            Err(error) if error.kind() == ErrorKind::Unsupported => return Err(error.context(format!("reading {}", found.key))),
            Err(_) => {}
        }
    }
    Ok(records)
}

/// The keys of one backup's records of a kind. Lists no further than they reach: a set may have many.
pub(crate) async fn keys_of(
    repository: &Repository,
    cx: &JobContext,
    place: Place,
    set: &SetName,
    id: &BackupId,
) -> Result<Vec<ObjectKey>> {
    let prefix = place.of_set(set)?;
    let mut listing = repository.store().list(cx, &prefix, ListOptions::start_after(prefix.key(id.as_str())?));
    let mut keys = Vec::new();
    while let Some(object) = listing.try_next().await? {
        match object.key.strip_prefix(&prefix) {
            Some(rest) if rest.starts_with(id.as_str()) => keys.push(object.key),
            _ => break,
        }
    }
    keys.retain(|key| place.parse_in(set, key).is_some_and(|(of, _)| of == *id));
    Ok(keys)
}

/// Every record of one kind under `prefix`, as it stood at some moment of this call.
///
/// A record that is gone between listing and reading may have been replaced by one that the listing missed (an intent that was
/// renewed): then it is listed again.
pub(crate) async fn read_placed<R: Claims>(
    repository: &Repository,
    cx: &JobContext,
    place: Place,
    prefix: &KeyPrefix,
) -> Result<Vec<Placed<R>>> {
    for _ in 0..LISTINGS {
        let mut listing = repository.store().list(cx, prefix, ListOptions::default());
        let (mut records, mut vanished) = (Vec::new(), false);
        while let Some(object) = listing.try_next().await? {
            let Some((set, id, _)) = place.parse(&object.key) else { continue };
            let record = match repository.record_bytes(cx, &object.key).await {
                Ok(Some(bytes)) => record::open::<R>(&bytes).and_then(|record| record.check_claims(&set, &id).map(|()| record)),
                Ok(None) => {
                    vanished = true;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => Err(error),
                Err(error) => return Err(error),
            };
            records.push(Placed { set, id, modified: object.modified, record, key: object.key });
        }
        if !vanished {
            return Ok(records);
        }
    }
    Err(Error::new(&codes::STORE_BUSY, format!("the records under {prefix} changed {LISTINGS} times while they were read")))
}
