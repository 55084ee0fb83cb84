//! A volume as a raw image or on a block device: with all the backups that it builds on, every block checked before it is written.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backup_core::error::codes;
use backup_core::source::BackupReader;
use backup_core::{Bytes, Error, JobContext, async_trait};
use backup_sources::cinder::access::VolumeWriter;
use backup_sources::cinder::format;
use serde_json::json;

use super::super::arguments::Restore;
use super::super::failure::{Class, Failure};
use super::super::output::note;
use super::super::session::Session;
use super::super::volume::is_one;
use super::files::{blocking, failed, free, parent, taken, temporary};
use crate::quickstart::text;

/// Zeros that are written at a time where a device has something else.
const ZEROS: u64 = 4 << 20;

pub(super) async fn run(session: &Session, restore: &Restore) -> Result<(), Failure> {
    let (path, is_device) = match (&restore.volume_image, &restore.volume_device) {
        (Some(path), _) => (path, false),
        (None, Some(path)) => (path, true),
        (None, None) => return Err(Failure::usage("where to? give --volume-image FILE or --volume-device DEVICE")),
    };
    if is_device && !restore.dry_run {
        session.confirm(&format!("overwrite all that is on {}?", path.display())).await?;
    }
    let cx = session.context();
    let work = async {
        let repository = session.place.read_only(&cx).await?;
        let info = session.place.find(&cx, &repository, &restore.backup.set, &restore.backup.id).await?;
        if !is_one(&repository, &cx, &info).await {
            return Err(Failure::usage(format!("backup {} of {} is not of a volume", info.id, info.set)));
        }
        if !is_device {
            free(path)?;
        }
        note(&format!("backup {} of {}", info.id, info.set));
        let backup = repository.open(&cx, &info.set, &info.id).await?;
        match (restore.dry_run, is_device) {
            (true, _) => Ok(format::restore(&cx, &backup, &mut Nowhere, true).await?),
            (false, false) => into_image(&cx, &backup, path).await,
            (false, true) => onto_device(&cx, &backup, path).await,
        }
    };
    let bytes = session.job("restoring", &cx, work).await?;
    session.output.document(&json!({
        "set": restore.backup.set,
        "dry_run": restore.dry_run,
        "bytes": bytes,
        "path": path,
    }));
    session.output.line(&match restore.dry_run {
        true => format!("the volume of {} ({bytes} bytes) is good and could be restored", text::size(bytes)),
        false => format!("restored the volume of {} ({bytes} bytes) into {}", text::size(bytes), path.display()),
    });
    Ok(())
}

/// The image appears under its name when all of it is written and durable.
async fn into_image(cx: &JobContext, backup: &dyn BackupReader, path: &Path) -> Result<u64, Failure> {
    let image = temporary(path)?;
    let file = Arc::new(image.as_file().try_clone().map_err(|error| failed("opening", path, &error))?);
    let mut writer = Target { file: Arc::clone(&file), path: path.to_owned(), size: None };
    let size = format::restore(cx, backup, &mut writer, true).await?;
    blocking(move || file.set_len(size).and_then(|()| file.sync_all())).await?;
    cx.check()?;
    let kept = image.into_temp_path().persist_noclobber(path);
    kept.map_err(|failure| match failure.error.kind() {
        std::io::ErrorKind::AlreadyExists => taken(path),
        _ => failed("renaming to", path, &failure.error),
    })?;
    let directory = parent(path);
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| failed("syncing", directory, &error))?;
    Ok(size)
}

async fn onto_device(cx: &JobContext, backup: &dyn BackupReader, path: &Path) -> Result<u64, Failure> {
    // Exclusively: the kernel refuses a device that is mounted or part of another.
    let exclusive = i32::try_from(rustix::fs::OFlags::EXCL.bits()).unwrap_or_default();
    let mut device =
        File::options().write(true).custom_flags(exclusive).open(path).map_err(|error| failed("opening", path, &error))?;
    let kind = device.metadata().map_err(|error| failed("looking at", path, &error))?.file_type();
    if !kind.is_block_device() {
        return Err(Failure::usage(format!("{} is no block device; a file is restored with --volume-image", path.display())));
    }
    let room = device.seek(SeekFrom::End(0)).map_err(|error| failed("looking at", path, &error))?;
    // Before anything is written, where the backup says it.
    let size = backup.manifest().source.integrity.as_ref().and_then(|said| said.get("size")?.as_u64());
    if let Some(size) = size.filter(|size| *size > room) {
        return Err(too_small(path, size, room));
    }
    let file = Arc::new(device);
    let mut writer = Target { file: Arc::clone(&file), path: path.to_owned(), size: Some(room) };
    let size = format::restore(cx, backup, &mut writer, false).await.inspect_err(|_| {
        note(&format!("{} is neither what it was nor the volume: restore it again", path.display()));
    })?;
    blocking(move || file.sync_all()).await?;
    Ok(size)
}

fn too_small(path: &Path, size: u64, room: u64) -> Failure {
    Failure::new(Class::Refused, format!("the volume has {size} bytes, and {} has room for {room}", path.display()))
}

/// An image or a device.
#[derive(Debug)]
struct Target {
    file: Arc<File>,
    path: PathBuf,
    /// Of a device.
    size: Option<u64>,
}

impl Target {
    async fn put(&self, offset: u64, data: Bytes) -> backup_core::Result<()> {
        let what = || format!("writing {}", self.path.display());
        if self.size.is_some_and(|size| offset.saturating_add(data.len() as u64) > size) {
            return Err(Error::new(&codes::STORE_NO_SPACE, format!("{}: the device is too small", what())));
        }
        let file = Arc::clone(&self.file);
        let written = tokio::task::spawn_blocking(move || file.write_all_at(&data, offset)).await;
        written.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(|error| {
            let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
            Error::new(if full { &codes::STORE_NO_SPACE } else { &codes::STORE_IO }, what()).with_source(error)
        })
    }
}

#[async_trait]
impl VolumeWriter for Target {
    async fn write(&mut self, offset: u64, data: Bytes) -> backup_core::Result<()> {
        self.put(offset, data).await
    }

    async fn zero(&mut self, offset: u64, length: u64) -> backup_core::Result<()> {
        let zeros = Bytes::from(vec![0; usize::try_from(ZEROS.min(length)).unwrap_or_default()]);
        let mut done = 0;
        while done < length {
            let piece = usize::try_from(ZEROS.min(length - done)).unwrap_or_default();
            self.put(offset + done, zeros.slice(..piece)).await?;
            done += piece as u64;
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> backup_core::Result<()> {
        Ok(())
    }

    async fn abort(self: Box<Self>) {}
}

/// For a dry run: everything is read and checked, and goes nowhere.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl VolumeWriter for Nowhere {
    async fn write(&mut self, _: u64, _: Bytes) -> backup_core::Result<()> {
        Ok(())
    }

    async fn zero(&mut self, _: u64, _: u64) -> backup_core::Result<()> {
        Ok(())
    }

    async fn finish(self: Box<Self>) -> backup_core::Result<()> {
        Ok(())
    }

    async fn abort(self: Box<Self>) {}
}
