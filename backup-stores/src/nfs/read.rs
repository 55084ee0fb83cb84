//! Looking at objects and reading them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use backup_core::error::codes;
use backup_core::store::{ObjectRead, ReadOptions};
use backup_core::{Bytes, Error, JobContext, ObjectMeta, Result};
use bytes::BytesMut;
use futures::StreamExt;
use futures::stream::{self, BoxStream};

use super::error::{failed, not_found, symlink};
use super::file::File;
use super::task::Task;
use super::tree::Tree;
use super::wire::{Fault, Found, Kind, Limits, Status};
use crate::files::KeyPath;

/// How many pieces of a body are asked for ahead.
const AHEAD: usize = 3;

pub(super) async fn head(tree: &Tree, cx: &JobContext, key: &KeyPath) -> Result<ObjectMeta> {
    find(tree, cx, key).await.map(|(_, meta)| meta)
}

pub(super) async fn read(tree: Arc<Tree>, cx: &JobContext, key: KeyPath, options: ReadOptions) -> Result<ObjectRead> {
    let (found, meta) = find(&tree, cx, &key).await?;
    let range = cut(options.range, &meta)?;
    let file = File::new(key.dir(), key.name(), &found);
    Ok(ObjectRead { body: body(tree, cx.clone(), file, range), meta })
}

async fn find(tree: &Tree, cx: &JobContext, key: &KeyPath) -> Result<(Found, ObjectMeta)> {
    let found = tree.in_dir(cx, key.dir(), |dir| async move { tree.session.lookup(cx, &dir, key.name()).await }).await;
    match found {
        Ok(found) if found.attr.kind == Kind::File => {
            let meta = ObjectMeta::new(key.key().clone(), found.attr.size).modified(found.attr.modified);
            Ok((found, meta))
        }
        Ok(found) if found.attr.kind == Kind::Symlink => Err(symlink(key.as_str())),
        Ok(_) => Err(not_found(key.as_str())),
        // A file where a directory should be means that there is no such object.
        Err(fault) if fault.is_missing() => Err(not_found(key.as_str())),
        Err(fault) => Err(failed(fault, "looking at", key.as_str())),
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

/// A few pieces are asked for while the caller works on the one before them. Each is asked for by its place, so one that gets lost
/// with its connection is asked for again, and nothing else.
fn body(tree: Arc<Tree>, cx: JobContext, file: File, left: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    let reader = Reader { tree, cx, file: Arc::new(file), left, ahead: VecDeque::new() };
    stream::try_unfold(reader, |mut reader| async move {
        reader.fill();
        let Some(piece) = reader.ahead.pop_front() else { return Ok(None) };
        let piece = reader.cx.run(piece.wait()).await?;
        reader.fill();
        Ok(Some((piece, reader)))
    })
    .boxed()
}

struct Reader {
    tree: Arc<Tree>,
    cx: JobContext,
    file: Arc<File>,
    left: Range<u64>,
    ahead: VecDeque<Task<Bytes>>,
}

impl Reader {
    fn fill(&mut self) {
        let Limits { read, .. } = self.tree.limits;
        while self.ahead.len() < AHEAD && !self.left.is_empty() {
            let piece = self.left.start..self.left.end.min(self.left.start + u64::from(read));
            self.left.start = piece.end;
            let (tree, cx, file) = (Arc::clone(&self.tree), self.cx.clone(), Arc::clone(&self.file));
            self.ahead.push_back(Task::spawn(async move { read_exact(&tree, &cx, &file, piece).await }));
        }
    }
}

async fn read_exact(tree: &Tree, cx: &JobContext, file: &File, piece: Range<u64>) -> Result<Bytes> {
    let some = |at: u64| async move {
        let count = u32::try_from(piece.end - at).unwrap_or(tree.limits.read);
        let read = file.with(cx, tree, |handle| async move { tree.session.read(cx, &handle, at, count).await }).await;
        match read {
            Ok(bytes) if !bytes.is_empty() => Ok(bytes),
            Ok(_) => {
                let text =
                    format!("`{}` ends at byte {at}, but was longer when it was opened; it was cut meanwhile", file.path());
                Err(Error::new(&codes::STORE_IO, text))
            }
            // The name is gone, or is another file's: not "no such object", for there was one when the reading began.
            Err(fault) if fault.is_missing() => Err(failed(Fault::Status(Status::NFS3ERR_STALE), "reading", &file.path())),
            Err(fault) => Err(failed(fault, "reading", &file.path())),
        }
    };
    let (start, size) = (piece.start, (piece.end - piece.start) as usize);
    let first = some(start).await?;
    if first.len() == size {
        return Ok(first);
    }
    // A server may give less than it was asked for.
    let mut whole = BytesMut::with_capacity(size);
    whole.extend_from_slice(&first);
    while whole.len() < size {
        whole.extend_from_slice(&some(start + whole.len() as u64).await?);
    }
    Ok(whole.freeze())
}
