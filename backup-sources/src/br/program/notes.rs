//! Notes of the programs that run, so that somebody who comes after this process finds them.
//!
//! A note is a file `<id>.note`: a line with the place's URL and where its process is at home, which is there before the program is
//! started, and one with its process group, which is there before the program begins. The process that wrote it holds a lock on it, which dies with it: a note that can be
//! locked is nobody's. The key that `br` needs for encryption lies beside it in `<id>.key` for as long.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use backup_core::{Error, JobId, Result, Secret};
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use serde::{Deserialize, Serialize};

use super::home::{Home, Seen};
use crate::br::codes;
use crate::process::GroupId;

const VERSION: u32 = 1;
const NOTE: &str = "note";
/// One that is being written.
const NEW: &str = "new";
const KEY: &str = "key";

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    version: u32,
    url: String,
    home: Home,
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
    pub(super) home: Home,
    pub(super) seen: Seen,
}

impl Note {
    /// Notes that a program will work on `url`.
    pub(super) async fn begin(directory: &Path, id: &JobId, url: &str, key: Option<Secret>) -> Result<Self> {
        let (directory, id, url) = (directory.to_owned(), id.to_string(), url.to_owned());
        blocking("writing", directory.clone(), move || {
            DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
            let path = directory.join(format!("{id}.{NOTE}"));
            let new = directory.join(format!("{id}.{NEW}"));
            // Nobody removes it meanwhile as one that a crash left. Where directories cannot be locked, nobody removes any.
            let listing = File::open(&directory)?;
            let _ = retry_on_intr(|| flock(&listing, FlockOperation::LockShared));
            let file = private(&new)?;
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            let note = Self { path, file };
            note.line(&Head { version: VERSION, url, home: Home::of_this_process()? })?;
            // Locked before anybody can see it: a note without a lock is taken for one that was left.
            std::fs::rename(&new, &note.path)?;
            if let Some(key) = key {
                private(&note.key_file())?.write_all(key.expose().as_bytes())?;
            }
            listing.sync_all()?;
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
            remove_file(&self.key_file())?;
            remove_file(&self.path)
        })
        .await
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
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
        let listing = File::open(&directory)?;
        let all_written = flock(&listing, FlockOperation::NonBlockingLockExclusive).is_ok();
        for entry in entries {
            let path = entry?.path();
            match path.extension() {
                Some(extension) if extension == NOTE => {
                    let candidate = Candidate::open(path, &url)?;
                    found.extend(candidate.map(Candidate::take_over).transpose()?.flatten());
                }
                // A crash left it before its program was started.
                Some(extension) if extension == NEW && all_written => remove_file(&path)?,
                _ => {}
            }
        }
        Ok(found)
    })
    .await
}

/// A note about a place, which may be somebody's.
pub(super) struct Candidate {
    note: Note,
    home: Home,
}

impl Candidate {
    /// The note at `path`, when it is about this place. The others are not even locked: somebody may be looking after them.
    pub(super) fn open(path: PathBuf, url: &str) -> io::Result<Option<Self>> {
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            // Removed meanwhile: its program has ended.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let text = io::read_to_string(&file)?;
        let Some(head) = text.lines().next().and_then(|line| serde_json::from_str::<Head>(line).ok()) else {
            tracing::error!(note = %path.display(), "the note of a running program cannot be understood and is left as it is");
            return Ok(None);
        };
        let asked = head.version == VERSION && same(&head.url) == same(url);
        Ok(asked.then_some(Self { note: Note { path, file }, home: head.home }))
    }

    /// Takes it over, when it is nobody's.
    pub(super) fn take_over(self) -> io::Result<Option<Left>> {
        let Self { note, home } = self;
        match flock(&note.file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            locked => locked?,
        }
        if note.file.metadata()?.nlink() == 0 {
            // Its program ended, and it was removed.
            return Ok(None);
        }
        // Only now: up to the lock its process may have written, and the line without which a program is not found is the last one.
        (&note.file).rewind()?;
        let text = io::read_to_string(&note.file)?;
        // A line that a power cut tore is about a program that did not begin.
        let group = text.lines().nth(1).and_then(|line| serde_json::from_str(line).ok());
        let seen = Home::of_this_process()?.sees(&home);
        Ok(Some(Left { note, group, home, seen }))
    }
}

/// Removes a file that somebody else may have removed.
fn remove_file(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
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
