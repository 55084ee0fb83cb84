//! Unfinished files, open for writing.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use backup_core::error::codes;
use backup_core::{Error, Result};
use rustix::io::Errno;

use super::error::failed;
use super::ops::FileStat;
use super::tree::Tree;
use crate::files::{Owner, TMP_DIR};

/// An unfinished file, open for writing. It is not removed on drop: that is what `sweep` is for.
#[derive(Debug)]
pub(super) struct Temp {
    pub(super) dir: Arc<OwnedFd>,
    pub(super) name: String,
    pub(super) file: OwnedFd,
}

impl Temp {
    /// `random` keeps the names of several processes apart.
    pub(super) fn create(tree: &Tree, random: u64, owner: &Owner) -> Result<Self> {
        tree.check_mount()?;
        let name = owner.name(tree.next(), random);
        // A second time when the directory was removed in between.
        for _ in 0..2 {
            let Some(dir) = tree.ensure_dir(TMP_DIR)? else { continue };
            match tree.ops.create(dir.as_fd(), &name) {
                Ok(file) => return Ok(Self { dir, name, file }),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed(errno, "creating the temporary file", &format!("{TMP_DIR}/{name}"))),
            }
        }
        Err(failed(Errno::NOENT, "creating a temporary file in", TMP_DIR))
    }

    /// Appends all of `data`.
    pub(super) fn write_all(&self, tree: &Tree, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let written = tree.ops.write(self.file.as_fd(), data).map_err(|errno| failed(errno, "writing", &self.path()))?;
            data = match data.get(written..) {
                Some(rest) if written > 0 => rest,
                _ => return Err(failed(Errno::IO, "writing (the kernel took nothing)", &self.path())),
            };
        }
        Ok(())
    }

    /// Makes the bytes durable and checks that all of them, and no others, are there.
    pub(super) fn seal(&self, tree: &Tree, size: u64) -> Result<FileStat> {
        tree.ops.sync_file(self.file.as_fd()).map_err(|errno| failed(errno, "syncing", &self.path()))?;
        let stat = tree.ops.stat_file(self.file.as_fd()).map_err(|errno| failed(errno, "looking at", &self.path()))?;
        if stat.size != size {
            let text = format!("`{}` has {} bytes after writing {size}; somebody else wrote to it", self.path(), stat.size);
            return Err(Error::new(&codes::STORE_IO, text));
        }
        Ok(stat)
    }

    /// Removes it; fine when it is gone already.
    pub(super) fn remove(&self, tree: &Tree) -> Result<()> {
        match tree.ops.unlink(self.dir.as_fd(), &self.name) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed(errno, "removing (a later sweep does it again)", &self.path())),
        }
    }

    /// Removes it when that works, else leaves it to `sweep`: another error is on its way to the caller already.
    pub(super) fn discard(&self, tree: &Tree) {
        if let Err(error) = self.remove(tree) {
            tracing::warn!(%error, "an unfinished file stays until the next sweep");
        }
    }

    pub(super) fn path(&self) -> String {
        format!("{TMP_DIR}/{}", self.name)
    }
}
