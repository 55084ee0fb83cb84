//! The directory of a job, and which file in it is the backup.

use std::ffi::CString;
use std::fs::{DirBuilder, File, FileType};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use backup_core::error::Code;
use backup_core::{Error, Result};
use rustix::fs::{CWD, Mode, OFlags, RenameFlags};

use super::codes;
use super::job_file::JobFile;
use super::plan::check_id;
use crate::file::failed;

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
        let directory = self.open()?;
        let names = names(&directory).map_err(|error| self.failed(error))?;
        let shown: Vec<_> = names.iter().take(LISTED).map(|name| format!("{:?}", name.to_string_lossy())).collect();
        let shown = shown.join(", ");
        let name = match names.as_slice() {
            [] => return Err(self.refuse(&codes::NO_FILE, "is empty")),
            [name] => name,
            several => {
                let what = format!("holds {} things where one file is expected: {shown}", several.len());
                return Err(self.refuse(&codes::SEVERAL_FILES, what));
            }
        };
        let unfit = |what: &str| self.refuse(&codes::UNFIT_FILE, format!("holds {shown}, {what}"));
        let name = match name.to_str() {
            Err(_) => return Err(unfit("whose name is not UTF-8")),
            Ok(name) if name.starts_with('.') => return Err(unfit("which is hidden")),
            Ok(name) if name.chars().any(|c| c.is_control() || c == '\\') => {
                return Err(unfit("whose name holds a control character or a backslash"));
            }
            Ok(name) => name,
        };
        // Neither follows a link nor waits for the other end of a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = match rustix::fs::openat(&directory, name, flags, Mode::empty()) {
            Err(rustix::io::Errno::LOOP) => return Err(unfit("which is a symbolic link")),
            Err(rustix::io::Errno::NXIO | rustix::io::Errno::OPNOTSUPP) => return Err(unfit("which is a socket or a device")),
            opened => File::from(opened.map_err(|error| self.failed(error))?),
        };
        let meta = file.metadata().map_err(|error| failed("looking at", &self.path, error))?;
        if !meta.is_file() {
            return Err(unfit(&format!("which is {}", kind(meta.file_type()))));
        }
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(unfit(&format!("which belongs to the user {}", meta.uid())));
        }
        Ok(JobFile::new(name, self.path.join(name), file, &meta))
    }

    /// Opens it, unless the script put something else in its place.
    fn open(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(&self.path, flags, Mode::empty()) {
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
                Err(self.refuse(&codes::UNFIT_FILE, "is no directory any more"))
            }
            Err(rustix::io::Errno::NOENT) => Err(self.refuse(&codes::NO_FILE, "was removed")),
            opened => opened.map_err(|error| self.failed(error)),
        }
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

    fn failed(&self, error: rustix::io::Errno) -> Error {
        failed("looking into", &self.path, error.into())
    }

    fn refuse(&self, code: &'static Code, what: impl std::fmt::Display) -> Error {
        Error::new(code, format!("after the backup script {} {what}", self.path.display()))
    }
}

/// What is in a directory, in the order of the names.
fn names(directory: &OwnedFd) -> Result<Vec<CString>, rustix::io::Errno> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.as_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
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
