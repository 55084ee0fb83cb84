//! The directory of a job, and the one file that its backup script leaves there.

use std::fs::{DirBuilder, File, FileType, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backup_core::error::Code;
use backup_core::source::ArtifactStream;
use backup_core::{Bytes, Error, Result};
use futures::StreamExt;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags};

use super::codes;
use super::plan::check_id;
use crate::file::failed;

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;
/// Names that an error lists.
const LISTED: usize = 10;

/// The directory of one job, `<root>/<id>/`, readable by its owner alone.
#[derive(Debug)]
pub struct JobDirectory {
    path: PathBuf,
}

impl JobDirectory {
    /// Makes it, empty. One that is there already is renamed to `<id>.<n>` first, never removed.
    ///
    /// # Errors
    /// `input.invalid` for an id that is no plain name; those of the file system.
    pub fn create(root: &Path, id: &str) -> Result<Self> {
        check_id(id)?;
        let path = root.join(id);
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(|error| failed("making", root, error))?;
        loop {
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => set_aside(&path)?,
                Err(error) => return Err(failed("making", &path, error)),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The one file in it: regular, not hidden, of this process's user.
    ///
    /// # Errors
    /// `script.no_file`, `script.several_files`, `script.unfit_file`, each naming what was found; those of the file system.
    pub fn file(&self) -> Result<JobFile> {
        let io = |error: rustix::io::Errno| failed("looking into", &self.path, error.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = match rustix::fs::open(&self.path, flags, Mode::empty()) {
            // The script replaced it, by a link maybe.
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
                return Err(self.refuse(&codes::UNFIT_FILE, "is no directory any more"));
            }
            Err(rustix::io::Errno::NOENT) => return Err(self.refuse(&codes::NO_FILE, "was removed")),
            opened => opened.map_err(io)?,
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&directory).map_err(io)? {
            let name = entry.map_err(io)?.file_name().to_owned();
            if !matches!(name.as_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort_unstable();
        let shown = |names: &[std::ffi::CString]| {
            let shown: Vec<_> = names.iter().take(LISTED).map(|name| format!("{:?}", name.to_string_lossy())).collect();
            shown.join(", ")
        };
        let (name, more) = match names.split_first() {
            None => return Err(self.refuse(&codes::NO_FILE, "is empty")),
            Some(found) => found,
        };
        if !more.is_empty() {
            let what = format!("holds {} things where one file is expected: {}", names.len(), shown(&names));
            return Err(self.refuse(&codes::SEVERAL_FILES, what));
        }
        let unfit = |what: &str| self.refuse(&codes::UNFIT_FILE, format!("holds {}, {what}", shown(&names)));
        let Ok(name) = name.to_str() else { return Err(unfit("whose name is not UTF-8")) };
        if name.starts_with('.') {
            return Err(unfit("which is hidden"));
        }
        if name.chars().any(|c| c.is_control() || c == '\\') {
            return Err(unfit("whose name holds a control character or a backslash"));
        }
        // Neither follows a link nor waits for the other end of a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = match rustix::fs::openat(&directory, name, flags, Mode::empty()) {
            Err(rustix::io::Errno::LOOP) => return Err(unfit("which is a symbolic link")),
            Err(rustix::io::Errno::NXIO | rustix::io::Errno::OPNOTSUPP) => return Err(unfit("which is a socket or a device")),
            opened => File::from(opened.map_err(io)?),
        };
        let meta = file.metadata().map_err(|error| failed("looking at", &self.path, error))?;
        if !meta.is_file() {
            return Err(unfit(&format!("which is {}", kind(meta.file_type()))));
        }
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(unfit(&format!("which belongs to the user {}", meta.uid())));
        }
        let (name, path) = (name.to_owned(), self.path.join(name));
        Ok(JobFile { name, path, size: meta.len(), stamp: Stamp::of(&meta), file: Arc::new(file) })
    }

    /// Removes it with all that is in it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn remove(self) -> Result<()> {
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("removing", &self.path, error)),
            _ => Ok(()),
        }
    }

    fn refuse(&self, code: &'static Code, what: impl std::fmt::Display) -> Error {
        Error::new(code, format!("after the backup script {} {what}", self.path.display()))
    }
}

/// Renames what is in the way.
fn set_aside(path: &Path) -> Result<()> {
    for n in 1_u32.. {
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{n}"));
        let aside = PathBuf::from(aside);
        // Where the file system knows no such rename, a directory is at least never put over one that holds something.
        let renamed = match rustix::fs::renameat_with(CWD, path, CWD, &aside, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if !aside.exists() => std::fs::rename(path, &aside),
            renamed => renamed.map_err(io::Error::from),
        };
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => return renamed.map_err(|error| failed("renaming", path, error)),
        }
    }
    Ok(())
}

fn kind(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

/// What changes when a file is written to or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

/// The file that a backup script left, open: what its name points to from now on does not matter.
#[derive(Debug, Clone)]
pub struct JobFile {
    name: String,
    path: PathBuf,
    size: u64,
    stamp: Stamp,
    file: Arc<File>,
}

impl JobFile {
    /// Its name, a plain one.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size in bytes, when it was opened.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Its bytes from the start, as often as wanted. The stream ends without an error only when the file was not changed since it
    /// was opened, as far as its size and its times tell; who reads it twice compares the digests.
    ///
    /// # Errors
    /// `script.file_changed`, those of the file system.
    pub fn stream(&self) -> ArtifactStream {
        let this = self.clone();
        futures::stream::try_unfold((this, 0), |(this, offset)| async move {
            let read = tokio::task::spawn_blocking(move || {
                let data = this.chunk(offset)?;
                Ok((this, data))
            });
            let (this, data) = read
                .await
                .map_err(|error| {
                    Error::new(&backup_core::error::codes::INTERNAL, "a blocking task ended early").with_source(error)
                })
                .flatten()?;
            let next = offset + data.len() as u64;
            Ok((!data.is_empty()).then_some((data, (this, next))))
        })
        .boxed()
    }

    /// The next bytes; none at the end of an unchanged file.
    fn chunk(&self, offset: u64) -> Result<Bytes> {
        let io = |error| failed("reading", &self.path, error);
        let mut data = vec![0; usize::try_from(self.size.saturating_sub(offset).min(CHUNK)).unwrap_or_default()];
        self.file.read_exact_at(&mut data, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed(),
            _ => io(error),
        })?;
        if data.is_empty() && Stamp::of(&self.file.metadata().map_err(io)?) != self.stamp {
            return Err(self.changed());
        }
        Ok(data.into())
    }

    fn changed(&self) -> Error {
        Error::new(&codes::FILE_CHANGED, format!("{} changed while it was read", self.path.display()))
    }
}
