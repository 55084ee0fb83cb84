//! Files and devices of this host.

use std::path::{Component, Path, PathBuf};

use backup_core::{JobContext, Result, async_trait};

use super::config::wrong;
use super::connection::{Connection, Format, lacks};
use super::file::beneath::{Access, open, outside};
use super::file::blocking;
use super::image_file::{self, ImageFile};
use super::nfs::{directory, no_rollback};
use super::{Extents, LocalConfig, Place, VolumeAccess, VolumeWriter};

/// Files and devices of this host, where the connection's `device_path` says.
///
/// # Behavior
/// The path has to lie below a configured directory; without `/dev` among them, no device of the host is opened. Links are not followed,
/// but for one: the last part of the path may be a link to a block device, such as `/dev/<group>/<volume>` of LVM, when that lies below a
/// configured directory, too. The format is that of the connection, raw when it names none. Only raw is written.
#[derive(Debug, Clone)]
pub struct LocalAccess {
    directories: Vec<PathBuf>,
}

impl LocalAccess {
    /// Checks the configuration.
    ///
    /// # Errors
    /// `cinder.access_config`.
    pub fn new(config: &LocalConfig) -> Result<Self> {
        if config.directories.is_empty() {
            return Err(wrong("`directories` of `local` names no directory"));
        }
        let directories = config.directories.iter().map(|path| directory("directories", path));
        Ok(Self { directories: directories.collect::<Result<_>>()? })
    }

    async fn locate(&self, place: &Place) -> Result<ImageFile> {
        let connection = Connection::of(place, "local")?;
        let volume = &place.volume;
        let format = connection.format(volume)?.unwrap_or(Format::Raw);
        let path = PathBuf::from(connection.device_path.ok_or_else(|| lacks(volume, "device_path"))?);
        let image = self.beneath(&path, format)?;
        let access = self.clone();
        blocking(move || Ok(access.device(&path, format).unwrap_or(image))).await
    }

    /// Where a path lies.
    fn beneath(&self, path: &Path, format: Format) -> Result<ImageFile> {
        if path.components().any(|component| component == Component::ParentDir) {
            return Err(outside(path, "`..` is not followed"));
        }
        let found = self.directories.iter().find_map(|base| Some((base, path.strip_prefix(base).ok()?)));
        let (base, relative) = found.ok_or_else(|| outside(path, "it does not lie below the `directories` of `local`"))?;
        let name = relative.file_name().and_then(|name| name.to_str()).ok_or_else(|| outside(path, "it names no file"))?;
        let directory = relative.parent().map(Path::to_owned).unwrap_or_default();
        Ok(ImageFile { base: base.clone(), directory, name: name.to_owned(), format })
    }

    /// Where the device is that a link leads to; `None` when there is no such link, or it leads elsewhere.
    fn device(&self, link: &Path, format: Format) -> Option<ImageFile> {
        let target = std::fs::read_link(link).ok()?;
        let mut path = link.parent()?.to_owned();
        for component in target.components() {
            match component {
                Component::RootDir => path = PathBuf::from("/"),
                Component::Normal(name) => path.push(name),
                Component::ParentDir if path.pop() => {}
                Component::CurDir => {}
                _ => return None,
            }
        }
        let image = self.beneath(&path, format).ok()?;
        let opened = open(&image.base, &image.directory.join(&image.name), Access::Read).ok()?;
        opened.device.then_some(image)
    }
}

#[async_trait]
impl VolumeAccess for LocalAccess {
    fn kind(&self) -> &'static str {
        "local"
    }

    fn reads_snapshots(&self) -> bool {
        false
    }

    async fn read(&self, cx: &JobContext, place: &Place) -> Result<Extents> {
        image_file::read(cx, self.locate(place).await?, place).await
    }

    async fn write(&self, cx: &JobContext, place: &Place, fresh: bool) -> Result<Box<dyn VolumeWriter>> {
        image_file::write(cx, self.locate(place).await?, place, fresh).await
    }

    async fn rollback(&self, _: &JobContext, volume: &str, _: &str) -> Result<()> {
        Err(no_rollback(volume, "local"))
    }
}
