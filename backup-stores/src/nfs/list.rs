//! The listing: a walk that holds one directory of each level, never the whole tree.

use std::sync::Arc;

use backup_core::{JobContext, KeyPrefix, ObjectKey, ObjectMeta, Result};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use super::dir;
use super::error::failed;
use super::tree::Tree;
use super::wire::{Attr, Fault, Kind, Status};
use crate::files::{Entries, shown};

/// How many objects come in one go.
const BATCH: usize = 512;

pub(super) fn list(
    tree: Arc<Tree>,
    cx: JobContext,
    prefix: KeyPrefix,
    after: Option<ObjectKey>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let walk = Walk { tree, cx, after, prefix: Some(prefix), levels: Vec::new(), warned: false };
    stream::try_unfold(walk, |mut walk| async move {
        walk.cx.check()?;
        let batch = walk.batch().await?;
        if batch.is_empty() {
            return Ok(None);
        }
        Ok(Some((stream::iter(batch.into_iter().map(Ok)), walk)))
    })
    .try_flatten()
    .boxed()
}

struct Walk {
    tree: Arc<Tree>,
    cx: JobContext,
    after: Option<ObjectKey>,
    /// Where to start, until started.
    prefix: Option<KeyPrefix>,
    levels: Vec<Level>,
    warned: bool,
}

struct Level {
    /// Empty, or ending in `/`.
    path: String,
    entries: std::vec::IntoIter<(String, Attr)>,
}

impl Walk {
    /// The next objects; none at the end.
    async fn batch(&mut self) -> Result<Vec<ObjectMeta>> {
        if let Some(prefix) = self.prefix.take()
            && !ObjectKey::is_reserved(prefix.as_str())
        {
            self.enter(prefix.as_str().to_owned()).await?;
        }
        let mut found = Vec::new();
        while found.len() < BATCH {
            let Some(level) = self.levels.last_mut() else { break };
            let Some((name, attr)) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let path = format!("{}{name}", level.path);
            if name.ends_with('/') {
                self.enter(path).await?;
                continue;
            }
            match ObjectKey::new(path.as_str()) {
                Ok(key) => found.push(ObjectMeta::new(key, attr.size).modified(attr.modified)),
                Err(_) => self.warn(&path),
            }
        }
        Ok(found)
    }

    /// Reads a whole directory and goes on inside it.
    async fn enter(&mut self, path: String) -> Result<()> {
        let read = dir::read(&self.cx, &self.tree, path.strip_suffix('/').unwrap_or_default()).await;
        let read = match read {
            Ok(read) => read,
            // Not there, or removed or replaced while listing.
            Err(fault) if fault.is_missing() || fault.is_stale() => return Ok(()),
            // Every ext file system has one at its top, for root only.
            Err(Fault::Status(Status::NFS3ERR_ACCES)) if path == "lost+found/" => return Ok(()),
            Err(fault) => return Err(failed(fault, "listing", shown(&path))),
        };
        let mut entries = Entries::new(&path, self.after.as_ref());
        for (name, attr) in read {
            if matches!(attr.kind, Kind::File | Kind::Directory) {
                entries.add(&name, attr.kind == Kind::Directory, attr);
            }
        }
        let (entries, strange) = entries.finish();
        if let Some(strange) = strange {
            self.warn(&strange);
        }
        self.levels.push(Level { path, entries });
        Ok(())
    }

    fn warn(&mut self, path: &str) {
        if !self.warned {
            tracing::warn!(path, "the store holds a name that is no valid key; it and others like it are ignored");
            self.warned = true;
        }
    }
}
