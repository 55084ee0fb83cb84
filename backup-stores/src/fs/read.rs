//! Looking at objects and reading them.

use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use backup_core::error::codes;
use backup_core::store::{ObjectRead, ReadOptions};
use backup_core::{Bytes, Error, JobContext, ObjectMeta, Result};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use rustix::fs::FileType;
use rustix::io::Errno;
use tokio::task::{JoinHandle, spawn_blocking};

use super::error::{failed, not_found, symlink};
use super::ops::FileStat;
use super::task;
use super::tree::Tree;
use crate::files::KeyPath;

/// The most bytes of one item of a body; two of them are held at a time.
const PIECE: u64 = 1024 * 1024;

pub(super) fn head(tree: &Tree, key: &KeyPath) -> Result<ObjectMeta> {
    let dir = open_dir(tree, key)?;
    let stat = tree.ops.stat(dir.as_fd(), key.name()).map_err(|errno| missing_or(errno, "looking at", key))?;
    object(&stat, key)
}

pub(super) async fn read(tree: Arc<Tree>, cx: &JobContext, key: KeyPath, options: ReadOptions) -> Result<ObjectRead> {
    let (its_tree, its_key) = (Arc::clone(&tree), key.clone());
    let (file, meta) = task::look(cx, move || open(&its_tree, &its_key)).await?;
    let range = cut(options.range, &meta)?;
    Ok(ObjectRead { body: body(tree, cx.clone(), key, file, range), meta })
}

fn open(tree: &Tree, key: &KeyPath) -> Result<(OwnedFd, ObjectMeta)> {
    let dir = open_dir(tree, key)?;
    let file = tree.ops.open(dir.as_fd(), key.name()).map_err(|errno| missing_or(errno, "opening", key))?;
    let stat = tree.ops.stat_file(file.as_fd()).map_err(|errno| failed(errno, "looking at", key.as_str()))?;
    let meta = object(&stat, key)?;
    Ok((file, meta))
}

fn open_dir(tree: &Tree, key: &KeyPath) -> Result<OwnedFd> {
    tree.open_dir(key.dir()).map_err(|errno| missing_or(errno, "opening", key))
}

/// A file where a directory should be, or a socket (`NXIO`), means that there is no such object.
fn missing_or(errno: Errno, doing: &str, key: &KeyPath) -> Error {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::NXIO => not_found(key.as_str()),
        errno => failed(errno, doing, key.as_str()),
    }
}

fn object(stat: &FileStat, key: &KeyPath) -> Result<ObjectMeta> {
    match stat.kind {
        FileType::RegularFile => Ok(ObjectMeta::new(key.key().clone(), stat.size).modified(stat.modified)),
        FileType::Symlink => Err(symlink(key.as_str())),
        _ => Err(not_found(key.as_str())),
    }
}

fn cut(range: Option<Range<u64>>, meta: &ObjectMeta) -> Result<Range<u64>> {
    let Some(range) = range else { return Ok(0..meta.size) };
    if range.start > range.end || range.start > meta.size {
        let text = format!("`{}` has {} bytes; the range {}..{} does not fit", meta.key, meta.size, range.start, range.end);
        return Err(Error::new(&codes::INPUT_INVALID, text));
    }
    Ok(range.start..range.end.min(meta.size))
}

/// One piece is read ahead while the caller works on the one before.
fn body(tree: Arc<Tree>, cx: JobContext, key: KeyPath, file: OwnedFd, left: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    let reader = Reader { tree, key, file: Arc::new(file), left, ahead: None };
    stream::try_unfold((reader, cx), |(mut reader, cx)| async move {
        let Some(piece) = reader.ahead.take().or_else(|| reader.start()) else { return Ok(None) };
        let piece = task::wait(&cx, piece).await?;
        reader.ahead = reader.start();
        Ok(Some((piece, (reader, cx))))
    })
    .boxed()
}

struct Reader {
    tree: Arc<Tree>,
    key: KeyPath,
    file: Arc<OwnedFd>,
    left: Range<u64>,
    ahead: Option<JoinHandle<Result<Bytes>>>,
}

impl Reader {
    /// Starts reading the next piece, if there is one.
    fn start(&mut self) -> Option<JoinHandle<Result<Bytes>>> {
        if self.left.is_empty() {
            return None;
        }
        let piece = self.left.start..self.left.end.min(self.left.start + PIECE);
        self.left.start = piece.end;
        let (tree, key, file) = (Arc::clone(&self.tree), self.key.clone(), Arc::clone(&self.file));
        Some(spawn_blocking(move || read_exact(&tree, &key, &file, piece)))
    }
}

fn read_exact(tree: &Tree, key: &KeyPath, file: &OwnedFd, piece: Range<u64>) -> Result<Bytes> {
    let size = (piece.end - piece.start) as usize;
    let mut buffer = Vec::with_capacity(size);
    while buffer.len() < size {
        let at = piece.start + buffer.len() as u64;
        let read = tree.ops.read_at(file.as_fd(), &mut buffer, at).map_err(|errno| failed(errno, "reading", key.as_str()))?;
        if read == 0 {
            let text = format!("`{}` ends at byte {at}, but was longer when it was opened; it was cut meanwhile", key.as_str());
            return Err(Error::new(&codes::STORE_IO, text));
        }
    }
    // The allocator may have given more than was asked for, and the kernel filled it.
    buffer.truncate(size);
    Ok(Bytes::from(buffer))
}
