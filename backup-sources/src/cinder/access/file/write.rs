//! Raw files and devices, written.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use backup_core::error::codes::STORE_WRITER_FAILED;
use backup_core::{Effect, Error, JobContext, Result, async_trait};
use bytes::Bytes;
use rustix::fs::FallocateFlags;

use super::beneath::Opened;
use super::{PIECE, blocking, failed};
use crate::cinder::access::VolumeWriter;
use crate::cinder::access::bounds::Bounds;

/// Writes into a file or a device that is there.
#[derive(Debug)]
pub(in crate::cinder::access) struct FileWriter {
    cx: JobContext,
    file: Arc<File>,
    path: PathBuf,
    bounds: Bounds,
    fresh: bool,
    failed: bool,
}

impl FileWriter {
    /// Writes no more than the `size` bytes of the volume.
    pub(in crate::cinder::access) fn new(cx: &JobContext, opened: Opened, size: u64, fresh: bool) -> Self {
        let Opened { file, path, .. } = opened;
        let bounds = Bounds::new(&path.display().to_string(), size);
        Self { cx: cx.clone(), file, path, bounds, fresh, failed: false }
    }

    async fn work(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&File) -> std::io::Result<()> + Send + 'static,
    ) -> Result<()> {
        self.cx.check()?;
        if self.failed {
            return Err(Error::new(&STORE_WRITER_FAILED, format!("writing to {} has failed before", self.path.display())));
        }
        // Until it is known to have gone well; dropped in the middle, it has not.
        self.failed = true;
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        let done = blocking(move || work(&file).map_err(|error| failed(doing, &path, error))).await;
        self.failed = done.is_err();
        done.map_err(|error| error.with_effect(Effect::Unknown))
    }

    /// Makes durable what was written.
    pub(in crate::cinder::access) async fn sync(&mut self) -> Result<()> {
        self.work("syncing", File::sync_data).await
    }
}

#[async_trait]
impl VolumeWriter for FileWriter {
    async fn write(&mut self, offset: u64, data: Bytes) -> Result<()> {
        self.bounds.take(offset, data.len() as u64)?;
        self.work("writing to", move |file| file.write_all_at(&data, offset)).await
    }

    async fn zero(&mut self, offset: u64, length: u64) -> Result<()> {
        self.bounds.take(offset, length)?;
        if self.fresh || length == 0 {
            return Ok(());
        }
        self.work("writing zeros to", move |file| zero(file, offset, length)).await
    }

    async fn finish(mut self: Box<Self>) -> Result<()> {
        self.sync().await
    }

    async fn abort(self: Box<Self>) {}
}

/// Makes a hole, or writes zeros where there can be none: on a share without holes, or for a part of a device's block.
fn zero(file: &File, offset: u64, length: u64) -> std::io::Result<()> {
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    if rustix::fs::fallocate(file, hole, offset, length).is_ok() {
        return Ok(());
    }
    let zeros = vec![0; usize::try_from(length.min(PIECE)).unwrap_or_default()];
    let (mut at, end) = (offset, offset + length);
    while at < end {
        let count = (end - at).min(PIECE);
        let piece = zeros.get(..usize::try_from(count).unwrap_or_default()).unwrap_or_default();
        file.write_all_at(piece, at)?;
        at += count;
    }
    Ok(())
}
