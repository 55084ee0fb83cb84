//! The object that lists the artifacts of a backup with many: JSON lines.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;

use super::{Repository, blocks, external};
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::manifest::{Artifact, Inventory, Stored};
use crate::store::{StoreExt, WriteOptions};

const NAME: &str = ".inventory.jsonl";

/// Writes the listing under the backup's own prefix.
pub(crate) async fn write(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    artifacts: &[Artifact],
    retain_until: Option<DateTime<Utc>>,
) -> Result<Inventory> {
    let lines = encode(artifacts)?;
    let inventory = inventory(prefix.key(NAME)?, artifacts, &lines);
    put(repository, cx, &inventory, lines, retain_until).await?;
    Ok(inventory)
}

/// Writes the listing under a name that its content gives it, unless it is there: several may put the same one.
pub(crate) async fn write_once(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    artifacts: &[Artifact],
) -> Result<Inventory> {
    let lines = encode(artifacts)?;
    let mut inventory = inventory(prefix.key(NAME)?, artifacts, &lines);
    let digest = inventory.stored.sha256.to_string();
    inventory.key = prefix.key(&format!(".inventory-{}.jsonl", digest.get(..16).unwrap_or_default()))?;
    let there = match repository.store().head_opt(cx, &inventory.key).await? {
        Some(meta) if meta.size == inventory.stored.size => {
            external::digest(repository, cx, &inventory.key).await?.sha256 == inventory.stored.sha256
        }
        _ => false,
    };
    if !there {
        put(repository, cx, &inventory, lines, None).await?;
    }
    Ok(inventory)
}

fn encode(artifacts: &[Artifact]) -> Result<Bytes> {
    let mut lines = BytesMut::new();
    for artifact in artifacts {
        let line =
            serde_json::to_vec(artifact).map_err(|error| Error::new(&codes::INTERNAL, "an inventory line").with_source(error))?;
        lines.extend_from_slice(&line);
        lines.put_u8(b'\n');
    }
    Ok(lines.freeze())
}

fn inventory(key: ObjectKey, artifacts: &[Artifact], lines: &[u8]) -> Inventory {
    let stored_size = artifacts.iter().map(|artifact| artifact.stored.size).sum();
    Inventory { key, count: artifacts.len() as u64, stored_size, stored: Stored::of(lines) }
}

async fn put(
    repository: &Repository,
    cx: &JobContext,
    inventory: &Inventory,
    lines: Bytes,
    retain_until: Option<DateTime<Utc>>,
) -> Result<()> {
    let options = WriteOptions::new(cx.job().clone()).size_hint(Some(lines.len() as u64)).retain_until(retain_until);
    let mut writer = repository.store().writer(cx, &inventory.key, options).await?;
    if let Err(error) = writer.write(lines).await {
        // The first error is the one to report.
        let _ = writer.abort().await;
        return Err(error);
    }
    writer.finish().await?;
    Ok(())
}

/// Reads and checks the listing.
pub(crate) async fn read(repository: &Repository, cx: &JobContext, inventory: &Inventory) -> Result<Vec<Artifact>> {
    let corrupt = |why: String| Error::new(&codes::ARTIFACT_CORRUPT, format!("{}: {why}", inventory.key));
    if !inventory.stored.is_consistent() {
        return Err(corrupt("the number of block digests does not suit the size".into()));
    }
    let memory = repository.budget().reserve(cx, blocks::stream_memory(&inventory.stored)).await?;
    let stored = Arc::new(inventory.stored.clone());
    let mut stream = blocks::checked(repository, cx, &inventory.key, &stored, 0..stored.size, memory);
    let mut artifacts = Vec::new();
    let mut rest = BytesMut::new();
    // A line may be long (a digest for each block): no byte of it is looked at twice.
    let mut searched = 0;
    while let Some(piece) = stream.try_next().await? {
        rest.extend_from_slice(&piece);
        while let Some(end) = rest.iter().skip(searched).position(|byte| *byte == b'\n') {
            let line: Bytes = rest.split_to(searched + end + 1).freeze();
            searched = 0;
            let artifact: Artifact = serde_json::from_slice(&line).map_err(|error| corrupt(error.to_string()))?;
            artifact.check().map_err(|error| corrupt(error.to_string()))?;
            artifacts.push(artifact);
        }
        searched = rest.len();
    }
    if !rest.is_empty() || artifacts.len() as u64 != inventory.count {
        return Err(corrupt(format!("lists {} artifacts instead of {}", artifacts.len(), inventory.count)));
    }
    Ok(artifacts)
}
