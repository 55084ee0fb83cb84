//! A big object: pieces go to an unfinished file while more are coming, and a name is given at the end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes;
use backup_core::store::WriteOptions;
use backup_core::{Bytes, Effect, Error, JobContext, ObjectMeta, ObjectWriter, Result, async_trait};
use bytes::BytesMut;

use super::error::{failed, invisible};
use super::file::File;
use super::publish::publish;
use super::temp;
use super::tree::Tree;
use super::window::{SEGMENT, Window};
use crate::files::{KeyPath, Owner};
use crate::latch::used_after_error;

/// Smaller pieces are copied together.
const SMALL: usize = 256 << 10;
/// How long removing an unfinished file may take.
const CLEANUP: Duration = Duration::from_secs(30);

/// The most memory that a writer holds while its caller gives pieces of a mebibyte at most: two segments that are not committed yet,
/// what is collected, and for each connection the message that a piece is packed into.
pub(super) fn memory(tree: &Tree, connections: usize) -> u64 {
    let piece = u64::from(tree.limits.write);
    2 * (SEGMENT + (1 << 20)) + piece + SMALL as u64 + connections as u64 * piece
}

/// The writer of one object.
pub(super) struct NfsWriter {
    cx: JobContext,
    tree: Arc<Tree>,
    temp: Arc<File>,
    key: KeyPath,
    if_absent: bool,
    collected: BytesMut,
    window: Window,
    /// Set by the first error, and while a call is under way: a call that is dropped leaves it set.
    failed: bool,
}

impl NfsWriter {
    pub(super) async fn open(tree: Arc<Tree>, cx: &JobContext, key: KeyPath, options: WriteOptions) -> Result<Self> {
        Self::create(tree, cx, key, &Owner::Job(options.owner), options.if_absent).await
    }

    /// A writer of a `put`.
    pub(super) async fn for_put(tree: Arc<Tree>, cx: &JobContext, key: KeyPath, if_absent: bool) -> Result<Self> {
        Self::create(tree, cx, key, &Owner::Put, if_absent).await
    }

    async fn create(tree: Arc<Tree>, cx: &JobContext, key: KeyPath, owner: &Owner, if_absent: bool) -> Result<Self> {
        let temp = Arc::new(temp::create(cx, &tree, owner).await.map_err(invisible)?);
        let window = Window::new(cx, &tree, &temp);
        Ok(Self { cx: cx.clone(), tree, temp, key, if_absent, collected: BytesMut::new(), window, failed: false })
    }

    async fn accept(&mut self, mut data: Bytes) -> Result<()> {
        self.cx.check()?;
        let most = self.tree.limits.write as usize;
        if data.len() < SMALL || !self.collected.is_empty() {
            // What fills a message up is copied; the rest of a big piece is not.
            self.collect(data.split_to(data.len().min(most.saturating_sub(self.collected.len()))));
            if self.collected.len() < most {
                return Ok(());
            }
            let whole = std::mem::take(&mut self.collected).freeze();
            self.window.push(whole).await?;
        }
        while data.len() >= SMALL.min(most) {
            let piece = data.split_to(data.len().min(most));
            self.window.push(piece).await?;
        }
        self.collect(data);
        Ok(())
    }

    fn collect(&mut self, data: Bytes) {
        if self.collected.capacity() == 0 && !data.is_empty() {
            self.collected.reserve(self.tree.limits.write as usize);
        }
        self.collected.extend_from_slice(&data);
    }

    /// Stores a whole object.
    pub(super) async fn put(mut self, mut body: Bytes) -> Result<ObjectMeta> {
        let stored = async {
            let most = self.tree.limits.write as usize;
            while body.len() > most {
                self.window.push(body.split_to(most)).await?;
            }
            self.complete(body).await
        };
        let stored = stored.await;
        self.ended(stored).await
    }

    async fn complete(&mut self, rest: Bytes) -> Result<ObjectMeta> {
        self.cx.check()?;
        self.window.finish(rest).await?;
        let sealed = self.seal().await.map_err(invisible)?;
        self.cx.check()?;
        publish(&self.cx, &self.tree, &self.temp, &self.key, self.if_absent).await?;
        Ok(ObjectMeta::new(self.key.key().clone(), sealed.size).modified(sealed.modified))
    }

    /// Checks that all of the bytes, and no others, are there.
    async fn seal(&self) -> Result<super::wire::Attr> {
        let (cx, tree) = (&self.cx, &*self.tree);
        let attr = self.temp.with(cx, tree, |file| async move { tree.session.attr(cx, &file).await }).await;
        let attr = attr.map_err(|fault| failed(fault, "looking at", &self.temp.path()))?;
        let size = self.window.size();
        if attr.size != size {
            let text = format!("`{}` has {} bytes after writing {size}; somebody else wrote to it", self.temp.path(), attr.size);
            return Err(Error::new(&codes::STORE_IO, text));
        }
        Ok(attr)
    }

    /// Leaves nothing behind where nothing was published.
    async fn ended(&mut self, ended: Result<ObjectMeta>) -> Result<ObjectMeta> {
        if ended.as_ref().is_err_and(|error| error.effect() == Effect::None)
            && let Err(error) = self.discard().await
        {
            tracing::warn!(%error, "an unfinished file stays until the next sweep");
        }
        ended
    }

    async fn discard(&mut self) -> Result<()> {
        // Writes that are still under way are given up first.
        self.window = Window::new(&self.cx, &self.tree, &self.temp);
        temp::remove(&self.cx.for_cleanup(CLEANUP), &self.tree, &self.temp).await
    }
}

#[async_trait]
impl ObjectWriter for NfsWriter {
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
        let finished = match self.failed {
            true => Err(used_after_error(self.key.as_str())),
            false => {
                let rest = std::mem::take(&mut self.collected).freeze();
                self.complete(rest).await
            }
        };
        self.ended(finished).await
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        self.discard().await
    }
}

impl fmt::Debug for NfsWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NfsWriter").field("key", &self.key).field("size", &self.window.size()).finish_non_exhaustive()
    }
}
