//! Files on shares that Cinder's NFS driver has mounted.

use std::path::{Component, Path, PathBuf};

use backup_core::error::codes::SOURCE_UNSUPPORTED;
use backup_core::{Error, JobContext, Result, async_trait};
use md5::{Digest, Md5};

use super::config::wrong;
use super::connection::{Connection, lacks};
use super::file::beneath::{outside, plain};
use super::image_file::{self, ImageFile};
use super::{Extents, NfsConfig, Place, VolumeAccess, VolumeWriter};

/// Files on shares that Cinder's NFS driver has mounted: `<mount base>/<MD5 of the share>/<name>`.
///
/// # Behavior
/// The share, the name and the format are those of the connection; the mount base is the configured one, whatever the connection says.
/// Links are not followed. A raw file is read without its holes; qcow2 through `qemu-img`, all of its files in the same directory. Only
/// raw files are written.
#[derive(Debug, Clone)]
pub struct NfsAccess {
    mount_base: PathBuf,
}

impl NfsAccess {
    /// Checks the configuration.
    ///
    /// # Errors
    /// `cinder.access_config`.
    pub fn new(config: &NfsConfig) -> Result<Self> {
        let mount_base = directory("mount-base", &config.mount_base)?;
        Ok(Self { mount_base })
    }

    fn locate(&self, place: &Place) -> Result<ImageFile> {
        let connection = Connection::of(place, "nfs")?;
        let volume = &place.volume;
        let format = connection.format(volume)?.ok_or_else(|| lacks(volume, "format"))?;
        let export = connection.export.as_deref().ok_or_else(|| lacks(volume, "export"))?;
        let name = connection.name.ok_or_else(|| lacks(volume, "name"))?;
        let share = hex::encode(Md5::digest(export));
        if !plain(&name) {
            return Err(outside(&self.mount_base.join(share).join(name), "its name is no plain name of a file"));
        }
        Ok(ImageFile { base: self.mount_base.clone(), directory: share.into(), name, format })
    }
}

/// A directory of the configuration.
pub(super) fn directory(key: &str, path: &Path) -> Result<PathBuf> {
    let plain = |component: Component<'_>| matches!(component, Component::RootDir | Component::Normal(_));
    match path.is_absolute() && path.components().all(plain) {
        true => Ok(path.to_owned()),
        false => Err(wrong(format!("`{key}`: {} has to be an absolute path without `..`", path.display()))),
    }
}

#[async_trait]
impl VolumeAccess for NfsAccess {
    fn kind(&self) -> &'static str {
        "nfs"
    }

    fn reads_snapshots(&self) -> bool {
        false
    }

    async fn read(&self, cx: &JobContext, place: &Place) -> Result<Extents> {
        image_file::read(cx, self.locate(place)?, place).await
    }

    async fn write(&self, cx: &JobContext, place: &Place, fresh: bool) -> Result<Box<dyn VolumeWriter>> {
        image_file::write(cx, self.locate(place)?, place, fresh).await
    }

    async fn rollback(&self, _: &JobContext, volume: &str, _: &str) -> Result<()> {
        Err(no_rollback(volume, "nfs"))
    }
}

pub(super) fn no_rollback(volume: &str, kind: &str) -> Error {
    Error::new(&SOURCE_UNSUPPORTED, format!("the volume {volume} is reached by `{kind}`, which cannot set it back to a snapshot"))
}
