//! The root directory, and how directories below it are made and kept.

use std::collections::HashSet;
use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use backup_core::{Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::codes::FS_ROOT;
use super::config::RequiredMount;
use super::error::failed;
use super::mount::Mount;
use super::ops::{DirId, FsOps};
use crate::files::shown;

/// How many directories are remembered as durable; about 50 KiB.
const REMEMBERED: usize = 1024;
/// A directory younger than this is not remembered, but synced again by the next writer.
const SETTLED_SECONDS: i64 = 2;

/// An open root directory and what is done below it.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) ops: Arc<dyn FsOps>,
    pub(super) path: PathBuf,
    root: Arc<OwnedFd>,
    /// What `require-mount` holds on to.
    pub(super) mount: Option<Mount>,
    durable: Mutex<HashSet<DirId>>,
    count: AtomicU64,
}

/// Opens the root itself; makes it and its missing parents when `create`, after a look at the mount they would be made on.
pub(super) fn open_root(root: &Path, create: bool, required: Option<&RequiredMount>) -> Result<(PathBuf, OwnedFd)> {
    let unusable = |why: &str| Error::new(&FS_ROOT, format!("the root `{}` of the file store {why}", root.display()));
    let path = std::path::absolute(root).map_err(|error| unusable("is no path").with_source(error))?;
    let open = || rustix::fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let opened = match open() {
        Err(Errno::NOENT) if create => {
            required.map_or(Ok(()), |required| Mount::check_above(&path, required))?;
            create_root(&path).map_err(|error| match error.raw_os_error() {
                Some(errno) => failed(Errno::from_raw_os_error(errno), "making the store's root", &path.to_string_lossy()),
                None => unusable("cannot be made").with_source(error),
            })?;
            open()
        }
        result => result,
    };
    match opened {
        Ok(fd) => Ok((path, fd)),
        Err(Errno::NOTDIR) => Err(unusable("is not a directory, or a file stands on the way to it")),
        Err(Errno::NOENT) => Err(unusable("is not there")),
        Err(errno) => Err(failed(errno, "opening the store's root", &path.to_string_lossy())),
    }
}

/// Makes the root and what is missing above it, each durable before the next.
fn create_root(path: &Path) -> std::io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|dir| !dir.exists()).collect();
    for dir in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if let Some(parent) = dir.parent() {
            File::open(parent)?.sync_all()?;
        }
    }
    Ok(())
}

impl Tree {
    pub(super) fn new(path: PathBuf, root: OwnedFd, mount: Option<Mount>, ops: Arc<dyn FsOps>) -> Self {
        Self { ops, path, root: Arc::new(root), mount, durable: Mutex::default(), count: AtomicU64::new(0) }
    }

    /// Before anything is changed: whether the mount that was asked for is still there.
    pub(super) fn check_mount(&self) -> Result<()> {
        self.mount.as_ref().map_or(Ok(()), Mount::check)
    }

    /// A number that no other writer of this store has.
    pub(super) fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// An existing directory below the root; the errno says why not.
    pub(super) fn open_dir(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.ops.open_dir(self.root.as_fd(), path)
    }

    /// The directory `path`, made where it is missing. Each name on the way is durable when this returns, whoever made it:
    /// an object must not be reported as stored in a directory that a crash would lose. `None` when somebody removed
    /// an empty directory under our feet: try again.
    pub(super) fn ensure_dir(&self, path: &str) -> Result<Option<Arc<OwnedFd>>> {
        let mut dir = Arc::clone(&self.root);
        let mut end = 0;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            end += name.len() + usize::from(end > 0);
            let here = path.get(..end).unwrap_or(path);
            let child = match self.open_or_make(&dir, name) {
                Ok(child) => child,
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(failed(errno, "making the directory", here)),
            };
            let id = self.ops.dir_id(child.as_fd());
            if !id.is_some_and(|id| self.is_durable(&id)) {
                let above = crate::files::split(here).0;
                self.ops.sync_dir(dir.as_fd()).map_err(|errno| failed(errno, "syncing the directory", shown(above)))?;
                if let Some(id) = id {
                    self.remember(id);
                }
            }
            dir = Arc::new(child);
        }
        Ok(Some(dir))
    }

    fn open_or_make(&self, dir: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
        match self.ops.open_dir(dir.as_fd(), name) {
            Err(Errno::NOENT) => match self.ops.make_dir(dir.as_fd(), name) {
                Ok(()) | Err(Errno::EXIST) => self.ops.open_dir(dir.as_fd(), name),
                Err(errno) => Err(errno),
            },
            result => result,
        }
    }

    fn is_durable(&self, id: &DirId) -> bool {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn remember(&self, id: DirId) {
        // An inode removed and used again within one tick of the file system's clock looks the same as before.
        let now = chrono::Utc::now().timestamp();
        if now.saturating_sub(id.born.0) < SETTLED_SECONDS {
            return;
        }
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.len() >= REMEMBERED {
            durable.clear();
        }
        durable.insert(id);
    }

    /// After a directory was removed: its inode may come back as another one.
    pub(super) fn forget_all(&self) {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
