//! The listing: a walk that holds one directory of each level, never the whole tree, one batch ahead of its caller.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use backup_core::{JobContext, KeyPrefix, ObjectKey, ObjectMeta, Result};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use rustix::fs::{Dir, FileType};
use rustix::io::Errno;
use tokio::task::{JoinHandle, spawn_blocking};

use super::error::failed;
use super::mount::Mount;
use super::task;
use super::tree::Tree;
use crate::files::{Entries, is_silly, shown};

/// How many objects are looked at in one go.
const BATCH: usize = 512;

pub(super) fn list(
    tree: Arc<Tree>,
    cx: JobContext,
    prefix: KeyPrefix,
    after: Option<ObjectKey>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let walk = Walk { tree, after, prefix: Some(prefix), levels: Vec::new(), warned: false };
    stream::try_unfold(Next::Idle(walk), move |next| {
        let cx = cx.clone();
        async move {
            let batch = match next {
                Next::Idle(walk) => {
                    cx.check()?;
                    walk.start()
                }
                Next::Ahead(batch) => batch,
                Next::End => return Ok(None),
            };
            let (batch, walk) = task::wait(&cx, batch).await?;
            // The next ones are looked at while the caller works on these.
            let next = if walk.levels.is_empty() { Next::End } else { Next::Ahead(walk.start()) };
            Ok(Some((stream::iter(batch.into_iter().map(Ok)), next)))
        }
    })
    .try_flatten()
    .boxed()
}

/// Objects being looked at, and where the walk stands behind them.
type Batch = JoinHandle<Result<(Vec<ObjectMeta>, Walk)>>;

enum Next {
    /// Nothing happens before somebody asks.
    Idle(Walk),
    Ahead(Batch),
    End,
}

struct Walk {
    tree: Arc<Tree>,
    after: Option<ObjectKey>,
    /// Where to start, until started.
    prefix: Option<KeyPrefix>,
    levels: Vec<Level>,
    warned: bool,
}

struct Level {
    dir: OwnedFd,
    /// Empty, or ending in `/`.
    path: String,
    /// Sorted; directories end in `/`, which puts `a/` behind `a.x` exactly as the keys below it sort.
    entries: std::vec::IntoIter<(String, ())>,
}

impl Walk {
    fn start(mut self) -> Batch {
        spawn_blocking(move || Ok((self.batch()?, self)))
    }

    fn batch(&mut self) -> Result<Vec<ObjectMeta>> {
        if let Some(prefix) = self.prefix.take()
            && !ObjectKey::is_reserved(prefix.as_str())
        {
            let path = prefix.as_str().strip_suffix('/').unwrap_or_default();
            match self.tree.open_dir(path) {
                Ok(dir) => self.enter(dir, prefix.as_str().to_owned())?,
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => return Err(failed(errno, "listing", shown(path))),
            }
        }
        let mut found = Vec::new();
        while found.len() < BATCH {
            let Some(level) = self.levels.last_mut() else { break };
            let Some((name, ())) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let path = format!("{}{name}", level.path);
            if let Some(name) = name.strip_suffix('/') {
                match self.tree.ops.open_dir(level.dir.as_fd(), name) {
                    Ok(dir) => self.enter(dir, path)?,
                    // Removed or replaced while listing.
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    // Every ext file system has one at its top, for root only.
                    Err(Errno::ACCESS) if path == "lost+found/" => {}
                    Err(errno) => return Err(failed(errno, "listing", &path)),
                }
                continue;
            }
            match self.tree.ops.stat(level.dir.as_fd(), &name) {
                Ok(stat) if stat.kind == FileType::RegularFile => match ObjectKey::new(path.as_str()) {
                    Ok(key) => found.push(ObjectMeta::new(key, stat.size).modified(stat.modified)),
                    Err(_) => self.warn(&path),
                },
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed(errno, "looking at", &path)),
            }
        }
        Ok(found)
    }

    /// Reads a whole directory and goes on inside it.
    fn enter(&mut self, dir: OwnedFd, path: String) -> Result<()> {
        let mut entries = Entries::new(&path, self.after.as_ref());
        let listing = match Dir::read_from(&dir) {
            // Removed since it was opened.
            Err(Errno::NOENT) => return Ok(()),
            result => result.map_err(|errno| failed(errno, "listing", shown(&path)))?,
        };
        for entry in listing {
            let entry = entry.map_err(|errno| failed(errno, "listing", shown(&path)))?;
            let raw = entry.file_name();
            let silly = self.tree.mount.as_ref().is_some_and(Mount::is_nfs) && is_silly(raw.to_bytes());
            if silly || matches!(raw.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match (entry.file_type(), raw.to_str()) {
                (FileType::Unknown, Ok(name)) => match self.tree.ops.stat(dir.as_fd(), name) {
                    Ok(stat) => stat.kind,
                    Err(Errno::NOENT) => continue,
                    Err(errno) => return Err(failed(errno, "looking at", &format!("{path}{name}"))),
                },
                (known, _) => known,
            };
            match kind {
                FileType::Directory | FileType::RegularFile => {
                    entries.add(raw.to_bytes(), kind == FileType::Directory, ());
                }
                _ => {}
            }
        }
        let (entries, strange) = entries.finish();
        if let Some(strange) = strange {
            self.warn(&strange);
        }
        self.levels.push(Level { dir, path, entries });
        Ok(())
    }

    fn warn(&mut self, path: &str) {
        if !self.warned {
            tracing::warn!(path, "the store holds a name that is no valid key; it and others like it are ignored");
            self.warned = true;
        }
    }
}
