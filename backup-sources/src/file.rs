//! A new file that is there whole and durable, or not at all.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use backup_core::error::codes;
use backup_core::{Effect, Error, JobContext, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};

/// A file under a temporary name beside its final one. Dropped without [`NewFile::publish`], it removes itself.
///
/// Durable in four steps: write, fsync of the file, rename that never replaces, fsync of the directory.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    temporary: Temporary,
    target: PathBuf,
}

/// A path that is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Temporary {
    path: PathBuf,
    kept: bool,
}

impl Temporary {
    /// The path.
    #[cfg(feature = "etcd")]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "a temporary file could not be removed");
            }
            _ => {}
        }
    }
}

/// Refuses a target that exists already or whose directory does not.
pub(crate) fn check_target(target: &Path) -> Result<()> {
    match std::fs::symlink_metadata(target) {
        Ok(_) => return Err(exists(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("looking for", target, error)),
    }
    let directory = directory_of(target);
    match std::fs::metadata(directory) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(Error::new(&codes::INPUT_INVALID, format!("{} is not a directory", directory.display()))),
        Err(error) => Err(failed("looking for the directory", directory, error)),
    }
}

impl NewFile {
    /// Creates the temporary file, readable by its owner alone.
    pub(crate) async fn create(cx: &JobContext, target: &Path) -> Result<Self> {
        check_target(target)?;
        let name =
            target.file_name().ok_or_else(|| Error::new(&codes::INPUT_INVALID, format!("{} names no file", target.display())))?;
        // Cut by bytes, so that a long name leaves room for the suffix; only uniqueness counts.
        let stem = String::from_utf8_lossy(name.as_bytes().get(..150).unwrap_or(name.as_bytes())).into_owned();
        let path = directory_of(target).join(format!(".{stem}.{}.partial", cx.job()));
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file =
            rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(|error| failed("creating", &path, error.into()))?;
        Ok(Self { file: File::from(file), temporary: Temporary { path, kept: false }, target: target.to_owned() })
    }

    /// The open file itself, for a thread that writes to it.
    pub(crate) fn handle(&self) -> Result<File> {
        self.file.try_clone().map_err(|error| failed("opening again", &self.target, error))
    }

    /// Makes the content durable under the temporary name and hands that name out, for a program that reads it.
    #[cfg(feature = "etcd")]
    pub(crate) async fn into_temporary(self) -> Result<Temporary> {
        self.sync().await?;
        Ok(self.temporary)
    }

    /// Makes the file durable under its final name; never replaces another.
    pub(crate) async fn publish(self) -> Result<()> {
        self.sync().await?;
        let Self { temporary, target, .. } = self;
        let renamed = rename_new(&temporary.path, &target).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&target),
            _ => failed("renaming to", &target, error),
        });
        renamed?;
        temporary.keep();
        sync_directory(directory_of(&target)).map_err(|error| error.with_effect(Effect::Applied))
    }

    async fn sync(&self) -> Result<()> {
        let file = self.handle()?;
        let synced = tokio::task::spawn_blocking(move || file.sync_all()).await.map_err(io::Error::other);
        synced.flatten().map_err(|error| failed("syncing", &self.target, error))
    }
}

fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some network file systems know no such rename; a hard link never replaces either.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())?;
            std::fs::remove_file(from)
        }
        result => Ok(result?),
    }
}

fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(|error| failed("syncing the directory", directory, error))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn exists(target: &Path) -> Error {
    Error::new(&codes::STORE_EXISTS, format!("{} exists already and was left as it is", target.display()))
}

/// What a failure of the file system means.
pub(crate) fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => &codes::STORE_NO_SPACE,
        io::ErrorKind::PermissionDenied => &codes::STORE_DENIED,
        _ => &codes::STORE_IO,
    };
    Error::new(code, format!("{doing} {} failed", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use backup_core::Environment;
    use backup_core::event::TracingObserver;

    use super::*;

    fn cx() -> JobContext {
        JobContext::new(Environment::default(), Arc::new(TracingObserver))
    }

    fn names(directory: &Path) -> Vec<String> {
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_published_file_is_whole_and_an_abandoned_one_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a.db");
        let file = NewFile::create(&cx(), &target).await.unwrap();
        file.handle().unwrap().write_all(b"half").unwrap();
        assert!(!target.exists());
        drop(file);
        assert_eq!(names(directory.path()), Vec::<String>::new());

        let file = NewFile::create(&cx(), &target).await.unwrap();
        file.handle().unwrap().write_all(b"whole").unwrap();
        file.publish().await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        assert_eq!(names(directory.path()), ["a.db"]);
    }

    #[tokio::test]
    async fn a_file_that_appeared_meanwhile_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a.db");
        let file = NewFile::create(&cx(), &target).await.unwrap();
        file.handle().unwrap().write_all(b"mine").unwrap();
        std::fs::write(&target, b"theirs").unwrap();
        assert!(file.publish().await.unwrap_err().is_already_exists());
        assert_eq!(std::fs::read(&target).unwrap(), b"theirs");
        assert_eq!(names(directory.path()), ["a.db"]);
        assert!(NewFile::create(&cx(), &target).await.unwrap_err().is_already_exists());
    }

    #[tokio::test]
    async fn a_target_whose_directory_is_missing_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(NewFile::create(&cx(), &directory.path().join("no/such/a.db")).await.is_err());
    }
}
