//! Notes of the programs that run, so that somebody who comes after this process finds them.
//!
//! A note is a file `<id>.note`: a line with the place's URL, which is there before the program is started, and one with its process
//! group, which is there before the program begins. The process that wrote it holds a lock on it, which dies with it: a note that can be
//! locked is nobody's. The key that `br` needs for encryption lies beside it in `<id>.key` for as long.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use backup_core::{Error, JobId, Result, Secret};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::br::codes;
use crate::process::GroupId;

const VERSION: u32 = 1;
const NOTE: &str = "note";
const KEY: &str = "key";

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    version: u32,
    url: String,
}

/// The note of a program, locked.
#[derive(Debug)]
pub(super) struct Note {
    path: PathBuf,
    file: File,
}

/// A note whose process is gone.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) note: Note,
    /// `None` when no program had begun.
    pub(super) group: Option<GroupId>,
}

impl Note {
    /// Notes that a program will work on `url`.
    pub(super) async fn begin(directory: &Path, id: &JobId, url: &str, key: Option<Secret>) -> Result<Self> {
        let (directory, id, url) = (directory.to_owned(), id.to_string(), url.to_owned());
        blocking("writing", directory.clone(), move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
            let path = directory.join(format!("{id}.{NOTE}"));
            let file = private(&directory.join(format!("{id}.new")))?;
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            let note = Self { path, file };
            note.line(&Head { version: VERSION, url })?;
            // Locked before anybody can see it: a note without a lock is taken for one that was left.
            std::fs::rename(directory.join(format!("{id}.new")), &note.path)?;
            if let Some(key) = key {
                private(&note.key_file())?.write_all(key.expose().as_bytes())?;
            }
            File::open(&directory)?.sync_all()?;
            Ok(note)
        })
        .await
    }

    /// Notes which group it is. Durable when it returns.
    pub(super) async fn group(&self, group: GroupId) -> Result<()> {
        let note =
            Self { path: self.path.clone(), file: self.file.try_clone().map_err(|error| failed("writing", &self.path, error))? };
        blocking("writing", self.path.clone(), move || note.line(&group)).await
    }

    /// Where the key lies, if there is one.
    pub(super) fn key_file(&self) -> PathBuf {
        self.path.with_extension(KEY)
    }

    /// Removes it: its program has ended. The key goes first.
    pub(super) async fn remove(self) -> Result<()> {
        blocking("removing", self.path.clone(), move || {
            match std::fs::remove_file(self.key_file()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            std::fs::remove_file(&self.path)
        })
        .await
    }

    fn line(&self, what: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        (&self.file).write_all(&line)?;
        self.file.sync_all()
    }
}

/// The notes of a place whose processes are gone, each of them locked now.
pub(super) async fn left(directory: &Path, url: &str) -> Result<Vec<Left>> {
    let (directory, url) = (directory.to_owned(), url.to_owned());
    blocking("reading", directory.clone(), move || {
        let entries = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == NOTE) {
                found.extend(take_over(path, &url)?);
            }
        }
        Ok(found)
    })
    .await
}

/// The note at `path`, when it is about this place and nobody's.
fn take_over(path: PathBuf, url: &str) -> io::Result<Option<Left>> {
    let file = match OpenOptions::new().read(true).append(true).open(&path) {
        // Removed meanwhile: its program has ended.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let text = io::read_to_string(&file)?;
    let mut lines = text.lines();
    let Some(head) = lines.next().and_then(|line| serde_json::from_str::<Head>(line).ok()) else {
        tracing::error!(note = %path.display(), "the note of a running program cannot be understood and is left as it is");
        return Ok(None);
    };
    if head.version != VERSION || same(&head.url) != same(url) {
        return Ok(None);
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        locked => locked?,
    }
    // A line that a power cut tore is about a program that did not begin.
    let group = lines.next().and_then(|line| serde_json::from_str(line).ok());
    Ok(Some(Left { note: Note { path, file }, group }))
}

/// A place is the same with and without a slash at its end.
fn same(url: &str) -> &str {
    url.trim_end_matches('/')
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

async fn blocking<T: Send + 'static>(
    doing: &'static str,
    path: PathBuf,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).flatten().map_err(|error| failed(doing, &path, error))
}

fn failed(doing: &str, path: &Path, error: io::Error) -> Error {
    let what = format!("{doing} the note of a running `br` failed at {}", path.display());
    Error::new(&codes::NOTE, what).with_source(error)
}
