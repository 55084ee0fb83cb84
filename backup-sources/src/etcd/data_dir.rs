//! The data directory of a member that is being restored: filled as a whole or left as it was.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use backup_core::error::codes;
use backup_core::{Effect, Error, JobContext, Result};

use crate::file::failed;

/// What etcd keeps everything in, below its data directory.
const MEMBER: &str = "member";

/// A data directory with a private directory inside. Dropped without [`DataDir::publish`], both are as before.
#[derive(Debug)]
pub(super) struct DataDir {
    path: PathBuf,
    private: PathBuf,
    /// Whether it has to go again when nothing is published.
    created: bool,
}

impl DataDir {
    /// # Errors
    /// `store.exists` when it is there and not empty; `input.invalid` when it is no directory or its parent is missing.
    pub(super) fn check(path: &Path) -> Result<()> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                return match parent.is_dir() {
                    true => Ok(()),
                    false => Err(Error::new(&codes::INPUT_INVALID, format!("{} is no directory", parent.display()))),
                };
            }
            Err(error) => return Err(failed("reading", path, error)),
        };
        for entry in entries {
            let name = entry.map_err(|error| failed("reading", path, error))?.file_name();
            // The root of an ext4 file system is never quite empty.
            if name != "lost+found" {
                let what = format!("the data directory {} is not empty: it holds {}", path.display(), name.display());
                return Err(Error::new(&codes::STORE_EXISTS, what));
            }
        }
        Ok(())
    }

    /// Creates what is missing, readable by its owner alone.
    pub(super) fn prepare(cx: &JobContext, path: &Path) -> Result<Self> {
        Self::check(path)?;
        let path = std::path::absolute(path).map_err(|error| failed("finding", path, error))?;
        let created = match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(failed("creating", &path, error)),
        };
        let private = path.join(format!(".restore-{}", cx.job()));
        let data_dir = Self { path, private, created };
        DirBuilder::new().mode(0o700).create(&data_dir.private).map_err(|error| failed("creating", &data_dir.private, error))?;
        Ok(data_dir)
    }

    /// A path in the private directory.
    pub(super) fn private(&self, name: &str) -> PathBuf {
        self.private.join(name)
    }

    /// Makes the member of the private data directory `name` durable and visible.
    pub(super) async fn publish(mut self, name: &str) -> Result<()> {
        let (from, path) = (self.private(name).join(MEMBER), self.path.clone());
        let published = tokio::task::spawn_blocking(move || {
            sync_tree(&from).map_err(|error| failed("syncing", &from, error))?;
            let to = path.join(MEMBER);
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            rustix::fs::renameat_with(rustix::fs::CWD, &from, rustix::fs::CWD, &to, flags)
                .map_err(|error| failed("renaming to", &to, error.into()))?;
            let parent = path.parent().unwrap_or(&path);
            [path.as_path(), parent]
                .into_iter()
                .try_for_each(|directory| File::open(directory)?.sync_all())
                .map_err(|error| failed("syncing", &path, error).with_effect(Effect::Applied))
        });
        published.await.map_err(|error| Error::new(&codes::INTERNAL, "a blocking task ended early").with_source(error))??;
        self.created = false;
        Ok(())
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let gone =
            fs::remove_dir_all(&self.private).and_then(|()| if self.created { fs::remove_dir(&self.path) } else { Ok(()) });
        if let Err(error) = gone {
            tracing::warn!(path = %self.private.display(), %error, "what a restore left could not be removed");
        }
    }
}

fn sync_tree(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            sync_tree(&entry?.path())?;
        }
    }
    File::open(path)?.sync_all()
}
