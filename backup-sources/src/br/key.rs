//! Whether it is the key that does not fit, and not the backup that is damaged.
//!
//! The cipher of BR has no seal: with another key, good metadata reads as nonsense.

use backup_core::error::codes as core;
use backup_core::{ArtifactName, BackupReader, Error, JobContext, Manifest, Result};
use futures::TryStreamExt;

use super::codes;
use super::config::Encryption;
use super::meta::{BACKUP_META, Files, Published};

/// What the manifest calls a backup without encryption.
pub(super) const PLAINTEXT: &str = "plaintext";

/// Compares the method that is configured with the one that the manifest names, where it names one.
///
/// # Errors
/// `br.config`.
pub(super) fn check_method(manifest: &Manifest, encryption: Option<&Encryption>) -> Result<()> {
    let made = manifest.source.integrity.as_ref().and_then(|integrity| integrity.get("encryption")?.as_str());
    let has = encryption.map_or(PLAINTEXT, |encryption| encryption.method.as_str());
    match made {
        Some(made) if made != has => {
            let what =
                format!("the backup was made with `encryption` {made}, and configured is {has}; it cannot be read like this");
            Err(Error::new(&codes::CONFIG, what))
        }
        _ => Ok(()),
    }
}

/// What `error` means, with which `backupmeta` could not be read with a key: when its bytes are those that were stored, it is the key.
pub(super) async fn blame(cx: &JobContext, reader: &dyn BackupReader, error: Error) -> Error {
    if ![&codes::META_DAMAGED, &core::RECORD_UNSUPPORTED].contains(&error.code()) {
        return error;
    }
    match drain(cx, reader).await {
        Ok(()) => {
            let what = format!(
                "the bytes of `{BACKUP_META}` are as they were stored, and cannot be read: is the `key` of `encryption` that of the backup?"
            );
            Error::new(&codes::CONFIG, what).with_source(error)
        }
        Err(damage) => damage,
    }
}

/// Reads `backupmeta` to its end, where the reader has compared it with its digest.
async fn drain(cx: &JobContext, reader: &dyn BackupReader) -> Result<()> {
    let mut stream = Published(reader).open(cx, &ArtifactName::new(BACKUP_META)?).await?;
    while cx.run(stream.try_next()).await?.is_some() {}
    Ok(())
}
