//! The object that lists the artifacts of a backup with many: JSON lines.

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};

use super::packed::Artifacts;
use super::{Repository, blocks, external};
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::manifest::{Artifact, Inventory, StoredHasher};
use crate::store::{StoreExt, WriteOptions};

const NAME: &str = ".inventory.jsonl";

/// How many bytes of lines are made at a time.
const PIECE: usize = 256 << 10;

/// Writes the listing under the backup's own prefix.
pub(crate) async fn write(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    artifacts: &Artifacts,
    retain_until: Option<DateTime<Utc>>,
) -> Result<Inventory> {
    let inventory = described(repository, prefix.key(NAME)?, artifacts).await?;
    put(repository, cx, &inventory, artifacts, retain_until).await?;
    Ok(inventory)
}

/// Writes the listing under a name that its content gives it, unless it is there: several may put the same one.
pub(crate) async fn write_once(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    artifacts: &Artifacts,
) -> Result<Inventory> {
    let mut inventory = described(repository, prefix.key(NAME)?, artifacts).await?;
    let digest = inventory.stored.sha256.to_string();
    inventory.key = prefix.key(&format!(".inventory-{}.jsonl", digest.get(..16).unwrap_or_default()))?;
    let there = match repository.store().head_opt(cx, &inventory.key).await? {
        Some(meta) if meta.size == inventory.stored.size => {
            external::digest(repository, cx, &inventory.key).await?.sha256 == inventory.stored.sha256
        }
        _ => false,
    };
    if !there {
        put(repository, cx, &inventory, artifacts, None).await?;
    }
    Ok(inventory)
}

/// The lines, some at a time.
fn pieces(artifacts: &Artifacts) -> impl Iterator<Item = Result<Bytes>> + Send + '_ {
    let mut artifacts = artifacts.iter();
    std::iter::from_fn(move || {
        let mut lines = Vec::with_capacity(PIECE + 1024);
        for artifact in artifacts.by_ref() {
            if let Err(error) = serde_json::to_writer(&mut lines, &artifact) {
                return Some(Err(Error::new(&codes::INTERNAL, "an inventory line").with_source(error)));
            }
            lines.push(b'\n');
            if lines.len() >= PIECE {
                break;
            }
        }
        (!lines.is_empty()).then(|| Ok(lines.into()))
    })
}

/// What the listing will be. The lines are made once for this and once more to be stored, so that they are never there all at once.
async fn described(repository: &Repository, key: ObjectKey, artifacts: &Artifacts) -> Result<Inventory> {
    let mut hasher = StoredHasher::default();
    for piece in pieces(artifacts) {
        let piece = piece?;
        let hash = move || {
            hasher.update(&piece);
            hasher
        };
        hasher = repository.cpu().run(hash).await?;
    }
    let (count, stored_size) = (artifacts.len() as u64, artifacts.stored_size());
    Ok(Inventory { key, count, stored_size, stored: hasher.finish() })
}

async fn put(
    repository: &Repository,
    cx: &JobContext,
    inventory: &Inventory,
    artifacts: &Artifacts,
    retain_until: Option<DateTime<Utc>>,
) -> Result<()> {
    let options = WriteOptions::new(cx.job().clone()).size_hint(Some(inventory.stored.size)).retain_until(retain_until);
    let mut writer = repository.store().writer(cx, &inventory.key, options).await?;
    for piece in pieces(artifacts) {
        let written = match piece {
            Ok(piece) => writer.write(piece).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            // The first error is the one to report.
            let _ = writer.abort().await;
            return Err(error);
        }
    }
    writer.finish().await?;
    Ok(())
}

/// Reads and checks the listing.
pub(crate) async fn read(repository: &Repository, cx: &JobContext, inventory: &Inventory) -> Result<Artifacts> {
    let corrupt = |why: String| Error::new(&codes::ARTIFACT_CORRUPT, format!("{}: {why}", inventory.key));
    let stored = &inventory.stored;
    if stored.is_whole() || !stored.is_consistent() {
        return Err(corrupt("the number of block digests does not suit the size".into()));
    }
    // One block at a time: what is read ahead is memory, too.
    let _memory = repository.budget().reserve(cx, stored.block_size.min(stored.size.max(1))).await?;
    let mut artifacts = Artifacts::default();
    let mut rest = BytesMut::new();
    // A line may be long (a digest for each block): no byte of it is looked at twice.
    let mut searched = 0;
    for index in 0..stored.blocks.len() {
        for piece in blocks::read_block(repository, cx, &inventory.key, stored, index).await? {
            rest.extend_from_slice(&piece);
            while let Some(end) = rest.iter().skip(searched).position(|byte| *byte == b'\n') {
                let line = rest.split_to(searched + end + 1);
                searched = 0;
                let artifact: Artifact = serde_json::from_slice(&line).map_err(|error| corrupt(error.to_string()))?;
                artifact.check().map_err(|error| corrupt(error.to_string()))?;
                artifacts.push(&artifact);
            }
            searched = rest.len();
        }
    }
    if !rest.is_empty() || artifacts.len() as u64 != inventory.count {
        return Err(corrupt(format!("lists {} artifacts instead of {}", artifacts.len(), inventory.count)));
    }
    Ok(artifacts)
}
