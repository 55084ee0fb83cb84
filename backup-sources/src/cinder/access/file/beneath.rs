//! Files opened below a directory, and nowhere else.
//!
//! Every step of the way is opened from the one before and follows no link, so that nobody who may write below the directory leads out
//! of it, not even between a look and an open.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use backup_core::{Error, Result};
use rustix::fs::{CWD, Mode, OFlags};

use super::failed;
use crate::cinder::access::codes;

/// A regular file or a block device.
#[derive(Debug, Clone)]
pub(in crate::cinder::access) struct Opened {
    pub(in crate::cinder::access) file: Arc<File>,
    /// For messages, and for programs.
    pub(in crate::cinder::access) path: PathBuf,
    pub(in crate::cinder::access) device: bool,
    /// In bytes.
    pub(in crate::cinder::access) size: u64,
}

/// What is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cinder::access) enum Access {
    Read,
    Write,
}

/// Whether this is a name of a file, and nothing more.
pub(in crate::cinder::access) fn plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!(components.next(), Some(Component::Normal(only)) if only == OsStr::new(name)) && components.next().is_none()
}

/// Opens `relative` below `base`; `base` itself may lead over links.
///
/// # Errors
/// `cinder.not_there`; `cinder.outside` for a link or `..` on the way; `cinder.unreadable` for what is neither a file nor a block device.
pub(in crate::cinder::access) fn open(base: &Path, relative: &Path, mode: Access) -> Result<Opened> {
    let path = base.join(relative);
    let mut names = Vec::new();
    for component in relative.components() {
        match component {
            Component::Normal(name) => names.push(name),
            _ => return Err(outside(&path, "it is no plain path below its directory")),
        }
    }
    let last = names.pop().ok_or_else(|| outside(&path, "it names no file"))?;
    let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = rustix::fs::openat(CWD, base, directory, Mode::empty()).map_err(|error| refused(&path, error.into()))?;
    for name in names {
        at = rustix::fs::openat(&at, name, directory | OFlags::NOFOLLOW, Mode::empty())
            .map_err(|error| refused(&path, error.into()))?;
    }
    let access = if mode == Access::Write { OFlags::RDWR } else { OFlags::RDONLY };
    // A pipe would keep who opens it waiting.
    let flags = access | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::openat(&at, last, flags, Mode::empty()).map_err(|error| refused(&path, error.into()))?);
    let meta = file.metadata().map_err(|error| failed("looking at", &path, error))?;
    let device = meta.file_type().is_block_device();
    if !device && !meta.is_file() {
        return Err(Error::new(&codes::UNREADABLE, format!("{} is neither a file nor a block device", path.display())));
    }
    let size = match device {
        true => io::Seek::seek(&mut &file, io::SeekFrom::End(0)).map_err(|error| failed("asking the size of", &path, error))?,
        false => meta.len(),
    };
    Ok(Opened { file: Arc::new(file), path, device, size })
}

pub(in crate::cinder::access) fn outside(path: &Path, why: &str) -> Error {
    Error::new(&codes::OUTSIDE, format!("{} is not opened: {why}", path.display()))
}

fn refused(path: &Path, error: io::Error) -> Error {
    match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::NOENT) => Error::new(&codes::NOT_THERE, format!("there is no {}", path.display())),
        // A directory that is a link is none; a file that is one is a loop.
        Some(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
            outside(path, "a part of its path is a link, or no directory")
        }
        _ => failed("opening", path, error),
    }
}
