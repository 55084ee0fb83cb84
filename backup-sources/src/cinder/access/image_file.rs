//! A volume in a file or on a device, in the format that Cinder says.

use std::os::unix::fs::FileExt;
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
            let what = opened.path.display().to_string();
            size::check_readable(&what, opened.size, place.size)?;
            let looked = opened.clone();
            if opened.size != place.size && blocking(move || Ok(is_qcow2(&looked))).await? {
                return Err(Error::new(&codes::UNREADABLE, format!("{what} is said to be raw, but is a qcow2")));
            }
            Ok(file::read::raw(cx, opened))
        }
    }
}

/// Whether a file that is not as large as its volume is a qcow2, whatever Cinder says: asked a second time for an attachment, it calls the
/// overlay of a snapshot raw. The head of a file as large as the volume is the guest's, and may be what it likes.
fn is_qcow2(opened: &Opened) -> bool {
    let mut head = [0; 4];
    !opened.device && opened.file.read_exact_at(&mut head, 0).is_ok() && &head == b"QFI\xfb"
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
    size::check_writable(&opened.path.display().to_string(), opened.size, place.size)?;
    Ok(Box::new(FileWriter::new(cx, opened, place.size, fresh)))
}
