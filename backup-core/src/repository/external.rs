//! Objects that a source wrote by itself: found and hashed before the backup is published.

use std::collections::HashSet;

use futures::TryStreamExt;

use super::Repository;
use crate::context::JobContext;
use crate::error::Result;
use crate::key::{KeyPrefix, ObjectKey};
use crate::manifest::{Artifact, Compression, Stored, StoredHasher};
use crate::name::ArtifactName;
use crate::store::{ListOptions, ReadOptions};

/// Every object under `prefix` that is not one of `known`, with its digests.
pub(crate) async fn inventory(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    known: &[Artifact],
) -> Result<Vec<Artifact>> {
    let known: HashSet<&ObjectKey> = known.iter().map(|artifact| &artifact.key).collect();
    let mut found = Vec::new();
    let mut listing = repository.store().list(cx, prefix, ListOptions::default());
    while let Some(object) = listing.try_next().await? {
        if known.contains(&object.key) {
            continue;
        }
        let name = ArtifactName::new(object.key.strip_prefix(prefix).unwrap_or(object.key.as_str()))?;
        let stored = digest(repository, cx, &object.key).await?;
        let (size, sha256) = (stored.size, stored.sha256);
        found.push(Artifact { name, key: object.key, compression: Compression::None, size, sha256, stored });
    }
    Ok(found)
}

/// Reads an object once and makes its digests.
pub(crate) async fn digest(repository: &Repository, cx: &JobContext, key: &ObjectKey) -> Result<Stored> {
    let mut body = repository.store().read(cx, key, ReadOptions::default()).await?.body;
    let mut hasher = StoredHasher::default();
    while let Some(piece) = cx.run(body.try_next()).await? {
        cx.progress().add(piece.len() as u64);
        hasher = repository
            .cpu()
            .run(move || {
                hasher.update(&piece);
                hasher
            })
            .await?;
    }
    Ok(hasher.finish())
}
