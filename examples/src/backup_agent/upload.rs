//! From the file that the script left to its destination: hashed in a first pass, sent in a second, and compared.

use std::sync::Arc;

use backup_core::budget::MemoryBudget;
use backup_core::error::codes;
use backup_core::store::WriteOptions;
use backup_core::{Digest, Error, Hasher, JobContext, ObjectKey, ObjectWriter, Result, Store};
use backup_sources::script::JobFile;
use futures::StreamExt;

/// The SHA-256 of the file.
pub(super) async fn digest(cx: &JobContext, file: &JobFile) -> Result<Digest> {
    let mut hasher = Hasher::new();
    let mut bytes = file.stream();
    while let Some(data) = cx.run(async { Ok(bytes.next().await) }).await? {
        hasher.update(&data?);
    }
    Ok(hasher.finish())
}

/// Sends the file, whose first pass gave `digest`.
///
/// # Errors
/// `store.exists` for a key that is taken, unless it may be replaced; those of the store. Then nothing of the file can be seen there.
pub(super) async fn send(
    cx: &JobContext,
    store: &Arc<dyn Store>,
    key: &ObjectKey,
    (file, digest): (&JobFile, Digest),
    replace: bool,
    memory: &MemoryBudget,
) -> Result<()> {
    if !replace {
        match cx.run(store.head(cx, key)).await {
            Ok(_) => {
                let what = format!("the object `{key}` exists and was left untouched; allow_overwrite=true replaces it");
                return Err(Error::new(&codes::STORE_EXISTS, what));
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    let needed = store.writer_memory(Some(file.size())).min(memory.total());
    let _reserved = memory.reserve(cx, needed).await?;
    let options = WriteOptions::new(cx.job().clone()).if_absent(!replace).size_hint(Some(file.size())).sha256(Some(digest));
    let mut writer = store.writer(cx, key, options).await?;
    match fill(cx, &mut *writer, file, digest).await {
        Ok(()) => {}
        Err(error) => {
            if let Err(error) = writer.abort().await {
                tracing::warn!(%key, %error, "an unfinished upload was left behind");
            }
            return Err(error);
        }
    }
    let stored = writer.finish().await?;
    match stored.size == file.size() {
        true => Ok(()),
        false => {
            let what = format!("the object `{key}` has {} bytes instead of {}", stored.size, file.size());
            Err(Error::new(&codes::ARTIFACT_CORRUPT, what))
        }
    }
}

async fn fill(cx: &JobContext, writer: &mut dyn ObjectWriter, file: &JobFile, digest: Digest) -> Result<()> {
    let mut hasher = Hasher::new();
    let mut bytes = file.stream();
    while let Some(data) = cx.run(async { Ok(bytes.next().await) }).await? {
        let data = data?;
        hasher.update(&data);
        cx.run(writer.write(data)).await?;
    }
    match hasher.finish() == digest {
        true => Ok(()),
        false => {
            let what = format!("{} changed while it was read: its second reading gave other bytes", file.name());
            Err(Error::new(&backup_sources::script::codes::FILE_CHANGED, what))
        }
    }
}
