//! A volume in a file or on a device, in the format that Cinder says.

use std::path::PathBuf;

use backup_core::{Error, JobContext, Result};

use super::connection::Format;
use super::file::beneath::{Access, Opened, open};
use super::file::write::FileWriter;
use super::file::{self, blocking};
use super::{Extents, Place, VolumeWriter, codes, qcow2, size};

/// Where it is.
#[derive(Debug, Clone)]
pub(super) struct ImageFile {
    /// A configured directory.
    pub(super) base: PathBuf,
    /// The directory of the file, below that.
    pub(super) directory: PathBuf,
    /// Its name there.
    pub(super) name: String,
    pub(super) format: Format,
}

impl ImageFile {
    /// Opens it, or another file of its directory.
    pub(super) async fn open(&self, name: &str, access: Access) -> Result<Opened> {
        let (base, relative) = (self.base.clone(), self.directory.join(name));
        blocking(move || open(&base, &relative, access)).await
    }
}

pub(super) async fn read(cx: &JobContext, image: ImageFile, place: &Place) -> Result<Extents> {
    cx.check()?;
    match image.format {
        Format::Qcow2 => qcow2::read(cx, image, place).await,
        Format::Raw => {
            let opened = image.open(&image.name, Access::Read).await?;
            read_raw(cx, opened, place)
        }
    }
}

pub(super) fn read_raw(cx: &JobContext, opened: Opened, place: &Place) -> Result<Extents> {
    size::check_readable(&opened.path.display().to_string(), opened.size, place.size)?;
    Ok(file::read::raw(cx, opened))
}

pub(super) async fn write(cx: &JobContext, image: ImageFile, place: &Place, fresh: bool) -> Result<Box<dyn VolumeWriter>> {
    cx.check()?;
    if image.format != Format::Raw {
        return Err(Error::new(
            &codes::UNWRITABLE,
            format!("the volume {} is in qcow2; only raw ones are written", place.volume),
        ));
    }
    let opened = image.open(&image.name, Access::Write).await?;
    write_raw(cx, opened, place, fresh)
}

pub(super) fn write_raw(cx: &JobContext, opened: Opened, place: &Place, fresh: bool) -> Result<Box<dyn VolumeWriter>> {
    size::check_writable(&opened.path.display().to_string(), opened.size, place.size)?;
    Ok(Box::new(FileWriter::new(cx, opened, place.size, fresh)))
}
