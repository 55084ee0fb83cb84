//! A big object: pieces are appended beside the caller's work, and go to the disk while more are coming.

use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use backup_core::store::WriteOptions;
use backup_core::{Bytes, Effect, JobContext, ObjectMeta, ObjectWriter, Result, async_trait};
use bytes::BytesMut;
use tokio::task::{JoinHandle, spawn_blocking};

use super::publish::publish;
use super::task;
use super::temp::Temp;
use super::tree::Tree;
use crate::files::{KeyPath, Owner};
use crate::latch::used_after_error;

/// What one call to the kernel takes, about.
const PIECE: usize = 1024 * 1024;
/// Smaller pieces are copied together: a call for each would cost more than the copy.
const SMALL: usize = 256 * 1024;
/// The most memory a writer holds, while its caller gives pieces of [`PIECE`] at most.
pub(super) const MEMORY: u64 = (2 * PIECE + SMALL) as u64;
/// Write-back starts after so many bytes, so that the last sync finds little left to do.
const WRITE_BACK: u64 = if cfg!(test) { 1024 * 1024 } else { 8 * 1024 * 1024 };
/// How long removing an unfinished file may take.
const CLEANUP: Duration = Duration::from_secs(30);

/// The writer of one object. Holds two pieces at most: one collected, one on its way to the kernel.
pub(super) struct FsWriter {
    cx: JobContext,
    tree: Arc<Tree>,
    temp: Arc<Temp>,
    key: KeyPath,
    if_absent: bool,
    collected: BytesMut,
    /// Bytes accepted so far, and those of them that no write-back has covered.
    size: u64,
    dirty: u64,
    append: Option<JoinHandle<Result<()>>>,
    write_back: Option<JoinHandle<Result<()>>>,
    /// Set by the first error, and while a call is under way: a call that is dropped leaves it set.
    failed: bool,
}

impl FsWriter {
    pub(super) async fn open(tree: Arc<Tree>, cx: &JobContext, key: KeyPath, options: WriteOptions) -> Result<Self> {
        let owner = Owner::Job(options.owner);
        let (its_tree, its_cx) = (Arc::clone(&tree), cx.clone());
        let temp = task::change(cx, move || {
            its_cx.check()?;
            Temp::create(&its_tree, its_cx.environment().random.next_u64(), &owner).map(Arc::new)
        });
        Ok(Self {
            temp: temp.await?,
            cx: cx.clone(),
            tree,
            key,
            if_absent: options.if_absent,
            collected: BytesMut::new(),
            size: 0,
            dirty: 0,
            append: None,
            write_back: None,
            failed: false,
        })
    }

    async fn accept(&mut self, data: Bytes) -> Result<()> {
        self.cx.check()?;
        self.size += data.len() as u64;
        if data.len() >= SMALL {
            self.append_collected().await?;
            return self.append(data).await;
        }
        if self.collected.capacity() == 0 {
            self.collected.reserve(PIECE + SMALL);
        }
        self.collected.extend_from_slice(&data);
        if self.collected.len() >= PIECE { self.append_collected().await } else { Ok(()) }
    }

    async fn append_collected(&mut self) -> Result<()> {
        if self.collected.is_empty() {
            return Ok(());
        }
        let data = std::mem::take(&mut self.collected).freeze();
        self.append(data).await
    }

    /// Hands `data` to a thread, once the thread before has ended.
    async fn append(&mut self, data: Bytes) -> Result<()> {
        ended(&self.cx, &mut self.append).await?;
        self.start_write_back();
        self.dirty += data.len() as u64;
        let (tree, temp) = (Arc::clone(&self.tree), Arc::clone(&self.temp));
        self.append = Some(spawn_blocking(move || temp.write_all(&tree, &data)));
        Ok(())
    }

    /// Starts a write-back when one is due; never two, and never waits for a slow disk: the kernel slows us down there.
    fn start_write_back(&mut self) {
        if self.dirty < WRITE_BACK || self.write_back.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.dirty = 0;
        let (tree, temp) = (Arc::clone(&self.tree), Arc::clone(&self.temp));
        self.write_back = Some(spawn_blocking(move || {
            tree.ops.start_write_back(temp.file.as_fd());
            Ok(())
        }));
    }

    async fn complete(&mut self) -> Result<ObjectMeta> {
        if self.failed {
            return Err(used_after_error(self.key.as_str()));
        }
        self.append_collected().await?;
        ended(&self.cx, &mut self.append).await?;
        ended(&self.cx, &mut self.write_back).await?;
        let (tree, temp, cx) = (Arc::clone(&self.tree), Arc::clone(&self.temp), self.cx.clone());
        let (key, size, if_absent) = (self.key.clone(), self.size, self.if_absent);
        let finish = move || {
            let sealed = temp.seal(&tree, size)?;
            cx.check()?;
            publish(&tree, &temp, &sealed, &key, if_absent)?;
            Ok(ObjectMeta::new(key.key().clone(), sealed.size).modified(sealed.modified))
        };
        task::change(&self.cx, finish).await
    }

    async fn discard(&self) -> Result<()> {
        let (tree, temp) = (Arc::clone(&self.tree), Arc::clone(&self.temp));
        task::change(&self.cx.for_cleanup(CLEANUP), move || temp.remove(&tree)).await
    }
}

/// Waits for a task, if there is one.
async fn ended(cx: &JobContext, task: &mut Option<JoinHandle<Result<()>>>) -> Result<()> {
    match task.take() {
        Some(task) => task::wait(cx, task).await,
        None => Ok(()),
    }
}

#[async_trait]
impl ObjectWriter for FsWriter {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        if self.failed {
            return Err(used_after_error(self.key.as_str()));
        }
        self.failed = true;
        let accepted = self.accept(data).await;
        self.failed = accepted.is_err();
        accepted
    }

    async fn finish(mut self: Box<Self>) -> Result<ObjectMeta> {
        let finished = self.complete().await;
        if finished.as_ref().is_err_and(|error| error.effect() == Effect::None)
            && let Err(error) = self.discard().await
        {
            tracing::warn!(%error, "an unfinished file stays until the next sweep");
        }
        finished
    }

    async fn abort(self: Box<Self>) -> Result<()> {
        self.discard().await
    }
}

impl fmt::Debug for FsWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsWriter").field("key", &self.key).field("size", &self.size).finish_non_exhaustive()
    }
}
