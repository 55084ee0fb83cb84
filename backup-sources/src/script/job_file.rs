//! The file that a backup script left, read as it was when the script ended.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

use backup_core::error::codes::INTERNAL;
use backup_core::source::ArtifactStream;
use backup_core::{Bytes, Error, Result};
use futures::StreamExt;

use super::codes;
use crate::file::failed;

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;

/// What changes when a file is written to or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// The file that a backup script left, open: what its name points to from now on does not matter.
#[derive(Debug, Clone)]
pub struct JobFile {
    name: String,
    path: PathBuf,
    size: u64,
    stamp: Stamp,
    file: Arc<File>,
}

impl JobFile {
    pub(super) fn new(name: &str, path: PathBuf, file: File, meta: &Metadata) -> Self {
        Self { name: name.to_owned(), path, size: meta.len(), stamp: Stamp::of(meta), file: Arc::new(file) }
    }

    /// Its name, a plain one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size in bytes, when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its bytes from the start, as often as wanted. The stream ends without an error only when the file was not changed since it
    /// was opened, as far as its size and its times tell; who reads it twice compares the digests.
    ///
    /// # Errors
    /// `script.file_changed`, those of the file system.
    pub fn stream(&self) -> ArtifactStream {
        let this = self.clone();
        futures::stream::try_unfold((this, 0), |(this, offset)| async move {
            let read = tokio::task::spawn_blocking(move || {
                let data = this.chunk(offset)?;
                Ok((this, data))
            });
            let (this, data) =
                read.await.map_err(|error| Error::new(&INTERNAL, "a blocking task ended early").with_source(error)).flatten()?;
            let next = offset + data.len() as u64;
            Ok((!data.is_empty()).then_some((data, (this, next))))
        })
        .boxed()
    }

    /// The next bytes; none at the end of an unchanged file.
    fn chunk(&self, offset: u64) -> Result<Bytes> {
        let io = |error| failed("reading", &self.path, error);
        let mut data = vec![0; usize::try_from(self.size.saturating_sub(offset).min(CHUNK)).unwrap_or_default()];
        self.file.read_exact_at(&mut data, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => io(error),
        })?;
        if data.is_empty() && Stamp::of(&self.file.metadata().map_err(io)?) != self.stamp {
            return Err(self.changed());
        }
        Ok(data.into())
    }

    fn changed(&self) -> Error {
        Error::new(&codes::FILE_CHANGED, format!("{} changed while it was read", self.path.display()))
    }
}
