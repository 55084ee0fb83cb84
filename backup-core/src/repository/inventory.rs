//! The object that lists the artifacts of a backup with many: JSON lines.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;

use super::{Repository, blocks};
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::key::KeyPrefix;
use crate::manifest::{Artifact, Inventory, StoredHasher};
use crate::store::WriteOptions;

const NAME: &str = ".inventory.jsonl";

/// Writes the listing under the backup's own prefix.
pub(crate) async fn write(
    repository: &Repository,
    cx: &JobContext,
    prefix: &KeyPrefix,
    artifacts: &[Artifact],
    retain_until: Option<DateTime<Utc>>,
) -> Result<Inventory> {
    let mut lines = BytesMut::new();
    for artifact in artifacts {
        let line =
            serde_json::to_vec(artifact).map_err(|error| Error::new(&codes::INTERNAL, "an inventory line").with_source(error))?;
        lines.extend_from_slice(&line);
        lines.put_u8(b'\n');
    }
    let lines = lines.freeze();
    let key = prefix.key(NAME)?;
    let options = WriteOptions::new(cx.job().clone()).size_hint(Some(lines.len() as u64)).retain_until(retain_until);
    let mut writer = repository.store().writer(cx, &key, options).await?;
    if let Err(error) = writer.write(lines.clone()).await {
        // The first error is the one to report.
        let _ = writer.abort().await;
        return Err(error);
    }
    writer.finish().await?;
    let mut hasher = StoredHasher::default();
    hasher.update(&lines);
    let stored = hasher.finish();
    let stored_size = artifacts.iter().map(|artifact| artifact.stored.size).sum();
    Ok(Inventory { key, count: artifacts.len() as u64, stored_size, stored })
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
