//! From a sealed temporary file to an object: the one step that makes it visible.

use std::os::fd::{AsFd, OwnedFd};

use backup_core::error::codes;
use backup_core::{Effect, Error, Result};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::codes::FS_NO_ATOMIC_CREATE;
use super::error::{exists, failed, in_the_way, not_durable, symlink};
use super::ops::FileStat;
use super::temp::Temp;
use super::tree::Tree;
use crate::files::KeyPath;

/// How often directories that are removed under our feet are made again.
const ATTEMPTS: usize = 64;

/// Gives the sealed `temp` the name `key`, and returns when that name is durable.
///
/// The order is: bytes durable (before, in `seal`), directories there and durable, name, directory of the name durable.
/// An error before the name has effect none and leaves the temporary file to the caller. An error after it has effect
/// unknown: the object is visible and whole, but a crash may still take its name away, and taking the name back could
/// not be made durable either.
pub(super) fn publish(tree: &Tree, temp: &Temp, sealed: &FileStat, key: &KeyPath, if_absent: bool) -> Result<()> {
    tree.check_mount()?;
    for _ in 0..ATTEMPTS {
        let Some(dir) = tree.ensure_dir(key.dir())? else { continue };
        let named = if if_absent { name_new(tree, temp, &dir, key) } else { replace(tree, temp, &dir, key) };
        match named {
            Ok(()) => {}
            Err(Named::Lost) if is_linked(tree, temp) => continue,
            Err(Named::Lost) => {
                let text = format!("`{}` was removed while it was being written; was it swept too early?", temp.path());
                return Err(Error::new(&codes::STORE_IO, text));
            }
            Err(Named::Failed(errno)) => match has_landed(tree, sealed, &dir, key) {
                Ok(true) => temp.discard(tree),
                Ok(false) if errno == Errno::EXIST => return Err(taken(tree, &dir, key)),
                Ok(false) => return Err(failed(errno, "publishing", key.as_str())),
                Err(_) => return Err(failed(errno, "publishing", key.as_str()).with_effect(Effect::Unknown)),
            },
            Err(Named::Refused(error)) => return Err(error),
        }
        return tree.ops.sync_dir(dir.as_fd()).map_err(|errno| not_durable(errno, key.as_str()));
    }
    let text = format!(
        "the directory of `{key}` was removed {ATTEMPTS} times while publishing; is the root still there?",
        key = key.as_str()
    );
    Err(Error::new(&codes::STORE_IO, text))
}

enum Named {
    /// The directory or the temporary file is gone.
    Lost,
    Failed(Errno),
    Refused(Error),
}

impl From<Errno> for Named {
    fn from(errno: Errno) -> Self {
        if errno == Errno::NOENT { Self::Lost } else { Self::Failed(errno) }
    }
}

/// Create, never replace: a second link, then the first name goes. Where there are no hard links, a rename that refuses.
fn name_new(tree: &Tree, temp: &Temp, dir: &OwnedFd, key: &KeyPath) -> Result<(), Named> {
    let (from, to) = ((temp.dir.as_fd(), temp.name.as_str()), (dir.as_fd(), key.name()));
    match tree.ops.link(from, to) {
        Ok(()) => {
            // A failure leaves a second name of a finished object, which nobody writes to; sweep removes it.
            temp.discard(tree);
            Ok(())
        }
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => match tree.ops.rename(from, to, false) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                let text =
                    format!("publishing `{}`: this file system can neither link nor rename without replacing", key.as_str());
                Err(Named::Refused(Error::new(&FS_NO_ATOMIC_CREATE, text)))
            }
            result => Ok(result?),
        },
        Err(errno) => Err(errno.into()),
    }
}

fn replace(tree: &Tree, temp: &Temp, dir: &OwnedFd, key: &KeyPath) -> Result<(), Named> {
    match tree.ops.stat(dir.as_fd(), key.name()) {
        Ok(stat) if stat.kind == FileType::Symlink => return Err(Named::Refused(symlink(key.as_str()))),
        Ok(stat) if stat.kind != FileType::RegularFile => return Err(Named::Refused(in_the_way(key.as_str()))),
        _ => {}
    }
    Ok(tree.ops.rename((temp.dir.as_fd(), &temp.name), (dir.as_fd(), key.name()), true)?)
}

fn is_linked(tree: &Tree, temp: &Temp) -> bool {
    tree.ops.stat_file(temp.file.as_fd()).is_ok_and(|stat| stat.links > 0)
}

/// Whether the name is ours in spite of an error: network file systems repeat a call whose answer was lost.
fn has_landed(tree: &Tree, sealed: &FileStat, dir: &OwnedFd, key: &KeyPath) -> Result<bool, Errno> {
    match tree.ops.stat(dir.as_fd(), key.name()) {
        Ok(stat) => Ok(stat.id == sealed.id),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// The error for a name that is taken: by an object, or by something that is none.
fn taken(tree: &Tree, dir: &OwnedFd, key: &KeyPath) -> Error {
    match tree.ops.stat(dir.as_fd(), key.name()).map(|stat| stat.kind) {
        Ok(FileType::Symlink) => symlink(key.as_str()),
        Ok(FileType::RegularFile) | Err(_) => exists(key.as_str()),
        Ok(_) => in_the_way(key.as_str()),
    }
}

/// Refuses early what `publish` would refuse late: saves the writing, decides nothing.
pub(super) fn refuse_taken(tree: &Tree, key: &KeyPath) -> Result<()> {
    let Ok(dir) = tree.open_dir(key.dir()) else { return Ok(()) };
    match tree.ops.stat(dir.as_fd(), key.name()) {
        Ok(_) => Err(taken(tree, &dir, key)),
        Err(_) => Ok(()),
    }
}
