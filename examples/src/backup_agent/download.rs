//! From the destination into the directory of the job: under its own name only when it was checked.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backup_core::error::codes;
use backup_core::store::ReadOptions;
use backup_core::{Bytes, Error, Hasher, JobContext, ObjectKey, Result, Store};
use futures::StreamExt;
use tempfile::NamedTempFile;

/// Whether something is at `target`, which then has to go first or stays.
pub(super) fn is_there(target: &Path) -> bool {
    target.symlink_metadata().is_ok()
}

/// Fetches an object into the file `target`, whose directories are made.
///
/// # Errors
/// `store.not_found`, `artifact.corrupt` when the bytes are not those that were stored, those of the store and of the file system.
pub(super) async fn fetch(cx: &JobContext, store: &Arc<dyn Store>, key: &ObjectKey, target: &Path, replace: bool) -> Result<u64> {
    let parent = target.parent().unwrap_or(Path::new("/")).to_owned();
    let mut file = blocking(target, move || {
        DirBuilder::new().recursive(true).mode(0o700).create(&parent)?;
        tempfile::Builder::new().prefix(".download-").tempfile_in(parent)
    })
    .await?;
    let mut object = cx.run(store.read(cx, key, ReadOptions::default())).await?;
    let (mut hasher, mut size) = (Hasher::new(), 0_u64);
    while let Some(data) = cx.run(async { Ok(object.body.next().await) }).await? {
        let data = data?;
        hasher.update(&data);
        size += data.len() as u64;
        file = write(target, file, data).await?;
    }
    let damaged = |what: String| Err(Error::new(&codes::ARTIFACT_CORRUPT, what));
    if size != object.meta.size {
        return damaged(format!("`{key}` came with {size} bytes instead of {}", object.meta.size));
    }
    let digest = hasher.finish();
    if let Some(expected) = object.meta.sha256.filter(|expected| *expected != digest) {
        return damaged(format!("`{key}` is not what was stored: its SHA-256 is {digest} instead of {expected}"));
    }
    let to: PathBuf = target.to_owned();
    blocking(target, move || {
        file.as_file().sync_all()?;
        let kept = if replace { file.persist(&to) } else { file.persist_noclobber(&to) };
        kept.map(drop).map_err(|error| error.error)
    })
    .await?;
    Ok(size)
}

async fn write(target: &Path, mut file: NamedTempFile, data: Bytes) -> Result<NamedTempFile> {
    blocking(target, move || {
        file.write_all(&data)?;
        Ok(file)
    })
    .await
}

async fn blocking<T: Send + 'static>(target: &Path, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    done.map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::AlreadyExists => &codes::STORE_EXISTS,
            io::ErrorKind::PermissionDenied => &codes::STORE_DENIED,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => &codes::STORE_NO_SPACE,
            _ => &codes::STORE_IO,
        };
        Error::new(code, format!("{} cannot be written", target.display())).with_source(error)
    })
}
