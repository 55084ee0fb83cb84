//! A new raw file: a volume restored without a Cinder.

use std::path::Path;
use std::sync::Arc;

use backup_core::{JobContext, Result, async_trait};
use bytes::Bytes;

use super::beneath::Opened;
use super::failed;
use super::write::FileWriter;
use crate::cinder::access::VolumeWriter;
use crate::file::NewFile;

/// A new, sparse raw file of the size of a volume.
///
/// # Behavior
/// It has a temporary name until [`VolumeWriter::finish`], which makes it durable under its own; another file of that name is never
/// replaced. Aborted or dropped, it is gone.
#[derive(Debug)]
pub struct FileVolume {
    writer: FileWriter,
    file: NewFile,
}

impl FileVolume {
    /// Creates the file. It reads as zeros so far, and is as large as the volume, in bytes.
    ///
    /// # Errors
    /// `store.exists` when there is one by that name; `store.io`, `store.denied`, `store.no_space`.
    pub async fn create(cx: &JobContext, path: &Path, size: u64) -> Result<Box<dyn VolumeWriter>> {
        let file = NewFile::create(cx, path).await?;
        let handle = file.handle()?;
        handle.set_len(size).map_err(|error| failed("setting the size of", path, error))?;
        let opened = Opened { file: Arc::new(handle), path: path.to_owned(), device: false, size };
        Ok(Box::new(Self { writer: FileWriter::new(cx, opened, size, true), file }))
    }
}

#[async_trait]
impl VolumeWriter for FileVolume {
    async fn write(&mut self, offset: u64, data: Bytes) -> Result<()> {
        self.writer.write(offset, data).await
    }

    async fn zero(&mut self, offset: u64, length: u64) -> Result<()> {
        self.writer.zero(offset, length).await
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        let Self { mut writer, file } = *self;
        writer.sync().await?;
        file.publish().await
    }

    async fn abort(self: Box<Self>) {}
}
