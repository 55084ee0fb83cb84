//! The stored objects of a backup: checking that they are there, removing them.

use futures::{StreamExt, TryStreamExt};

use super::packed::Artifacts;
use super::{Repository, inventory};
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::manifest::Manifest;
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
pub(crate) async fn of(repository: &Repository, cx: &JobContext, manifest: &Manifest) -> Result<Artifacts> {
    match &manifest.inventory {
        None => Ok(manifest.artifacts.iter().collect()),
        Some(found) => inventory::read(repository, cx, found).await,
    }
}

/// As [`check_stored`], for objects that were written just now: of thousands no one is asked for alone, but for those that a listing
/// does not show yet.
pub(crate) async fn check_written(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    artifacts: &Artifacts,
) -> Result<()> {
    let numbers = match artifacts.len() <= MANY {
        true => artifacts.numbers().collect(),
        false => unlisted(repository, cx, prefix, artifacts).await?,
    };
    check_stored(repository, cx, artifacts, numbers).await
}

/// # Errors
/// `artifact.missing` when one of the artifacts of these numbers is not there with its size.
async fn check_stored(repository: &Repository, cx: &JobContext, artifacts: &Artifacts, numbers: Vec<usize>) -> Result<()> {
    futures::stream::iter(numbers)
        .map(|number| async move {
            let artifact = artifacts.get(number);
            check_one(repository, cx, &artifact.key, artifact.stored.size).await
        })
        .buffer_unordered(HEADS)
        .try_collect()
        .await
}

/// As [`check_stored`], with a few listings for what lies under `prefix`: of thousands of objects no one is asked for alone.
pub(crate) async fn check_listed(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    artifacts: &Artifacts,
) -> Result<()> {
    let unlisted = unlisted(repository, cx, prefix, artifacts).await?;
    let key = |number: usize| artifacts.get(number).key;
    let is_listable = |number: &usize| key(*number).strip_prefix(prefix).is_some();
    if let Some(missing) = unlisted.iter().copied().filter(is_listable).map(key).min() {
        return Err(Error::new(&codes::ARTIFACT_MISSING, format!("{missing} is not there")));
    }
    check_stored(repository, cx, artifacts, unlisted).await
}

/// The numbers of those of `artifacts` that a listing of `prefix` does not show.
///
/// # Errors
/// `artifact.missing` when one is listed with another size.
async fn unlisted(repository: &Repository, cx: &JobContext, prefix: &KeyPrefix, artifacts: &Artifacts) -> Result<Vec<usize>> {
    let mut numbers: Vec<usize> = artifacts.numbers().collect();
    let mut listed = vec![false; numbers.last().map_or(0, |last| last + 1)];
    let mut listing = repository.store().list(cx, prefix, ListOptions::default());
    while let Some(object) = listing.try_next().await? {
        let Some(number) = artifacts.stored_at(&object.key) else { continue };
        let size = artifacts.get(number).stored.size;
        if size != object.size {
            return Err(other_size(&object.key, object.size, size));
        }
        if let Some(listed) = listed.get_mut(number) {
            *listed = true;
        }
    }
    numbers.retain(|number| !listed.get(*number).copied().unwrap_or_default());
    Ok(numbers)
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
