//! Files and devices: opened, read, written.

pub(super) mod beneath;
mod new;
pub(super) mod read;
pub(super) mod write;

use std::io;
use std::path::Path;

use backup_core::error::codes::{INTERNAL, STORE_NO_SPACE};
use backup_core::{Error, Result};

use super::codes;

pub use new::FileVolume;

/// Bytes moved at once.
const PIECE: u64 = 1 << 20;

/// What a failure of the file system means.
pub(super) fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => &STORE_NO_SPACE,
        _ => &codes::IO,
    };
    Error::new(code, format!("{doing} {} failed", path.display())).with_source(error)
}

/// Waits for `work` on a thread that may wait for disks.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(&INTERNAL, "a blocking task ended early").with_source(error))?
}
