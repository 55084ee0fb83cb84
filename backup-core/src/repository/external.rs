//! Objects that another program wrote for a source: found before the backup is published.

use std::collections::BTreeMap;

use futures::TryStreamExt;

use super::Repository;
use super::packed::Artifacts;
use crate::context::JobContext;
use crate::digest::Digest;
use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::manifest::{Artifact, Compression, Stored, StoredHasher};
use crate::name::ArtifactName;
use crate::store::{ListOptions, ReadOptions};

/// What a source's own metadata says of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vouched {
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
}

/// Adds every object under `prefix` that is not one of `artifacts`: with the digest that was `vouched` for it, or else read for its digests.
///
/// # Errors
/// `artifact.missing` when one that was vouched for is not there with its size.
pub(crate) async fn inventory(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    artifacts: &mut Artifacts,
    mut vouched: BTreeMap<ArtifactName, Vouched>,
) -> Result<()> {
    let missing = |what: String| Err(Error::new(&codes::ARTIFACT_MISSING, what));
    let mut listing = repository.store().list(cx, prefix, ListOptions::default());
    while let Some(object) = listing.try_next().await? {
        if artifacts.stored_at(&object.key).is_some() {
            continue;
        }
        let name = ArtifactName::new(object.key.strip_prefix(prefix).unwrap_or(object.key.as_str()))?;
        let stored = match vouched.remove(&name) {
            Some(Vouched { size, .. }) if size != object.size => {
                return missing(format!("{} has {} bytes, and {size} by the metadata of the source", object.key, object.size));
            }
            Some(Vouched { size, sha256 }) => Stored::whole(size, sha256),
            None => digest(repository, cx, &object.key).await?,
        };
        let (size, sha256) = (stored.size, stored.sha256);
        artifacts.push(&Artifact { name, key: object.key, compression: Compression::None, size, sha256, stored });
    }
    match vouched.first_key_value() {
        None => Ok(()),
        Some((name, _)) => {
            missing(format!("{prefix}{name} is not there, and {} in all, by the metadata of the source", vouched.len()))
        }
    }
}

/// Reads an object once and makes its digests.
pub(crate) async fn digest(repository: &Repository, cx: &JobContext, key: &ObjectKey) -> Result<Stored> {
    digest_of(repository, cx, key, |_| Ok(())).await
}

/// As [`digest`]; `each` sees the bytes as they come, and ends it with its error.
pub(crate) async fn digest_of(
    repository: &Repository,
    cx: &JobContext,
    key: &ObjectKey,
    mut each: impl FnMut(&[u8]) -> Result<()> + Send,
) -> Result<Stored> {
    let mut body = repository.store().read(cx, key, ReadOptions::default()).await?.body;
    let mut hasher = StoredHasher::default();
    while let Some(piece) = cx.run(body.try_next()).await? {
        cx.progress().add(piece.len() as u64);
        each(&piece)?;
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
