//! The stored objects of a backup: checking that they are there, removing them.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt};

use super::{Repository, inventory};
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::manifest::{Artifact, Manifest};
use crate::store::{ListOptions, StoreExt};

/// Heads under way at a time.
const HEADS: usize = 8;
/// More objects than this are looked for in a listing.
const MANY: usize = 100;
/// Keys in one delete.
const BATCH: usize = 1000;

/// The artifacts of a backup, from its inventory when it has one.
///
/// # Errors
/// `artifact.corrupt` and `artifact.missing` for the inventory; those of the store.
pub(crate) async fn of(repository: &Repository, cx: &JobContext, manifest: &Manifest) -> Result<Vec<Artifact>> {
    match &manifest.inventory {
        None => Ok(manifest.artifacts.clone()),
        Some(found) => inventory::read(repository, cx, found).await,
    }
}

/// As [`check_stored`], for objects that were written just now: of thousands no one is asked for alone, but for those that a listing
/// does not show yet.
pub(crate) async fn check_written(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    artifacts: &[Artifact],
) -> Result<()> {
    if artifacts.len() <= MANY {
        return check_stored(repository, cx, artifacts.iter().map(|artifact| (&artifact.key, artifact.stored.size))).await;
    }
    check_stored(repository, cx, unlisted(repository, cx, prefix, artifacts).await?).await
}

/// # Errors
/// `artifact.missing` when one of `artifacts` is not there with its size.
async fn check_stored(
    repository: &Repository,
    cx: &JobContext,
    artifacts: impl IntoIterator<Item = (&ObjectKey, u64)>,
) -> Result<()> {
    let expected: Vec<_> = artifacts.into_iter().map(|(key, size)| (key.clone(), size)).collect();
    futures::stream::iter(expected)
        .map(|(key, size)| async move { check_one(repository, cx, &key, size).await })
        .buffer_unordered(HEADS)
        .try_collect()
        .await
}

/// As [`check_stored`], with a few listings for what lies under `prefix`: of thousands of objects no one is asked for alone.
pub(crate) async fn check_listed(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    artifacts: &[Artifact],
) -> Result<()> {
    let unlisted = unlisted(repository, cx, prefix, artifacts).await?;
    let (listable, elsewhere): (Vec<_>, Vec<_>) = unlisted.into_iter().partition(|(key, _)| key.strip_prefix(prefix).is_some());
    if let Some((key, _)) = listable.into_iter().min() {
        return Err(Error::new(&codes::ARTIFACT_MISSING, format!("{key} is not there")));
    }
    check_stored(repository, cx, elsewhere).await
}

/// Those of `artifacts` that a listing of `prefix` does not show, with their sizes.
///
/// # Errors
/// `artifact.missing` when one is listed with another size.
async fn unlisted<'a>(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    artifacts: &'a [Artifact],
) -> Result<HashMap<&'a ObjectKey, u64>> {
    let mut expected: HashMap<&ObjectKey, u64> = artifacts.iter().map(|artifact| (&artifact.key, artifact.stored.size)).collect();
    let mut listing = repository.store().list(cx, prefix, ListOptions::default());
    while let Some(object) = listing.try_next().await? {
        if let Some(size) = expected.remove(&object.key).filter(|size| *size != object.size) {
            return Err(other_size(&object.key, object.size, size));
        }
    }
    Ok(expected)
}

fn other_size(key: &ObjectKey, found: u64, expected: u64) -> Error {
    Error::new(&codes::ARTIFACT_MISSING, format!("{key} has {found} bytes instead of {expected}"))
}

/// # Errors
/// `artifact.missing`.
pub(crate) async fn check_one(repository: &Repository, cx: &JobContext, key: &ObjectKey, size: u64) -> Result<()> {
    match repository.store().head_opt(cx, key).await? {
        Some(meta) if meta.size == size => Ok(()),
        Some(meta) => Err(other_size(key, meta.size, size)),
        None => Err(Error::new(&codes::ARTIFACT_MISSING, format!("{key} is not there"))),
    }
}

/// Removes everything under `prefix` and the objects in `keys`; how many there were.
pub(crate) async fn remove(repository: &Repository, cx: &JobContext, prefix: &KeyPrefix, keys: &[ObjectKey]) -> Result<u64> {
    let store = repository.store();
    let mut removed = 0;
    let mut batch: Vec<ObjectKey> = keys.to_vec();
    let mut listing = store.list(cx, prefix, ListOptions::default());
    loop {
        let next = listing.try_next().await?;
        let ended = next.is_none();
        batch.extend(next.map(|object| object.key));
        if batch.len() >= BATCH || (ended && !batch.is_empty()) {
            let report = store.delete(cx, &batch).await?;
            removed += report.deleted.len() as u64;
            report.into_result()?;
            batch.clear();
        }
        if ended {
            return Ok(removed);
        }
    }
}
