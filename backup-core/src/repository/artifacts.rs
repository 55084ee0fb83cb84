//! The stored objects of a backup: checking that they are there, removing them.

use futures::{StreamExt, TryStreamExt};

use super::Repository;
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::manifest::Manifest;
use crate::store::{ListOptions, StoreExt};

/// Heads under way at a time.
const HEADS: usize = 8;
/// Keys in one delete.
const BATCH: usize = 1000;

/// The keys and sizes of the objects that a manifest names itself.
pub(crate) fn named(manifest: &Manifest) -> Vec<(ObjectKey, u64)> {
    let inventory = manifest.inventory.iter().map(|inventory| (inventory.key.clone(), inventory.stored.size));
    manifest.artifacts.iter().map(|artifact| (artifact.key.clone(), artifact.stored.size)).chain(inventory).collect()
}

/// # Errors
/// `artifact.missing` when an object that the manifest names is not there with its size.
pub(crate) async fn check_stored(repository: &Repository, cx: &JobContext, manifest: &Manifest) -> Result<()> {
    futures::stream::iter(named(manifest))
        .map(|(key, size)| async move { check_one(repository, cx, &key, size).await })
        .buffer_unordered(HEADS)
        .try_collect()
        .await
}

/// # Errors
/// `artifact.missing`.
pub(crate) async fn check_one(repository: &Repository, cx: &JobContext, key: &ObjectKey, size: u64) -> Result<()> {
    match repository.store().head_opt(cx, key).await? {
        Some(meta) if meta.size == size => Ok(()),
        Some(meta) => Err(Error::new(&codes::ARTIFACT_MISSING, format!("{key} has {} bytes instead of {size}", meta.size))),
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
