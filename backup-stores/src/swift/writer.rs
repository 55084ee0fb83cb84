//! A big object: segments go to Swift while the next one is collected; the manifest makes the object.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::store::WriteOptions;
use backup_core::{Bytes, Effect, Error, JobContext, ObjectKey, ObjectMeta, ObjectWriter, Result, async_trait};
use tokio::task::JoinHandle;

use super::account::{Account, Shared};
use super::codes;
use super::collect::Collected;
use super::create::{Content, NewObject};
use super::digest::md5;
use super::manifest::Line;
use super::place::Upload;
use super::record::Record;
use crate::latch::used_after_error;

const MIB: u64 = 1 << 20;
/// Bytes of a segment.
const SEGMENT: u64 = 14 * MIB;
/// Segments under way beside the one that is collected.
const UNDER_WAY: usize = 2;
/// How long a segment may take, with all its attempts.
const SEGMENT_LIMIT: Duration = Duration::from_secs(3600);
/// How long the segments under way are waited for when the object is given up.
const GRACE: Duration = Duration::from_secs(20);
/// How long removing what was written may take.
const CLEANUP: Duration = Duration::from_secs(120);

/// How big segments are for an object of about `hint` bytes.
pub(super) fn segment_size(account: &Account, hint: Option<u64>) -> u64 {
    let wanted = match (account.segment_size, hint) {
        (Some(fixed), _) => fixed,
        // A small object is one piece; a hint that was too small makes more and smaller segments.
        (None, Some(hint)) if hint < SEGMENT => hint.next_multiple_of(MIB).max(MIB),
        (None, _) => SEGMENT,
    };
    wanted.max(account.limits.large.map_or(1, |large| large.smallest)).min(account.limits.object)
}

/// The bytes that a writer holds at most, while its caller gives pieces of a mebibyte at most.
pub(super) fn memory(account: &Account, hint: Option<u64>) -> u64 {
    (UNDER_WAY as u64 + 1) * segment_size(account, hint)
}

pub(super) struct SwiftWriter {
    cx: JobContext,
    account: Shared,
    key: ObjectKey,
    options: WriteOptions,
    segment: u64,
    collected: Collected,
    size: u64,
    /// Once there is more than one segment.
    upload: Option<Upload>,
    /// Segments begun, and those of them that are stored.
    begun: u64,
    under_way: VecDeque<JoinHandle<Result<Line>>>,
    stored: Vec<Line>,
    /// A segment may still come to be stored after an attempt that was given up.
    straggling: bool,
    /// Set by the first error, and while a call is under way: a call that is dropped leaves it set.
    failed: bool,
}

impl SwiftWriter {
    pub(super) fn open(account: Shared, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Self> {
        cx.check()?;
        account.places.object(key)?;
        Ok(Self {
            cx: cx.clone(),
            key: key.clone(),
            segment: segment_size(&account, options.size_hint),
            options,
            account,
            collected: Collected::default(),
            size: 0,
            upload: None,
            begun: 0,
            under_way: VecDeque::new(),
            stored: Vec::new(),
            straggling: false,
            failed: false,
        })
    }

    async fn accept(&mut self, mut data: Bytes) -> Result<()> {
        self.cx.check()?;
        self.size += data.len() as u64;
        while self.collected.bytes() + data.len() as u64 > self.segment {
            let room = (self.segment - self.collected.bytes()) as usize;
            self.collected.push(data.split_to(room));
            self.begin().await?;
        }
        self.collected.push(data);
        Ok(())
    }

    /// Sends what was collected as a segment, once there is room for it.
    async fn begin(&mut self) -> Result<()> {
        let upload = self.begin_upload().await?;
        while self.under_way.len() >= UNDER_WAY {
            self.ended().await?;
        }
        let pieces = self.collected.take();
        // A cancelled job would leave open whether a segment is stored; what is under way comes to its end, and is then removed.
        let (account, cx, number) = (Shared::clone(&self.account), self.cx.for_cleanup(SEGMENT_LIMIT), self.begun);
        self.begun += 1;
        self.under_way.push_back(tokio::spawn(async move { account.put_segment(&cx, &upload, number, pieces).await }));
        Ok(())
    }

    /// The record that lets a sweep find the segments comes before the first of them.
    async fn begin_upload(&mut self) -> Result<Upload> {
        if let Some(upload) = &self.upload {
            return Ok(upload.clone());
        }
        if self.account.limits.large.is_none() {
            let text =
                format!("`{}` has more than {} bytes, and the cluster offers no static large objects", self.key, self.segment);
            return Err(Error::new(&codes::NO_LARGE_OBJECTS, text));
        }
        let upload = Upload::new(&self.options.owner, &*self.cx.environment().random);
        self.account.make_segments_container(&self.cx).await?;
        if let Some(notes) = &self.options.notes {
            notes.began(upload.name()).await?;
        }
        self.upload = Some(upload.clone());
        self.account.put_record(&self.cx, &upload, &Record { key: self.key.clone() }).await?;
        Ok(upload)
    }

    /// Waits for the oldest segment under way.
    async fn ended(&mut self) -> Result<()> {
        let Some(task) = self.under_way.front_mut() else { return Ok(()) };
        let internal = |error| Error::new(&core_codes::INTERNAL, "sending a segment ended early").with_source(error);
        let ended = self.cx.run(async { Ok(task.await) }).await?;
        self.under_way.pop_front();
        let line = ended.map_err(internal).flatten().inspect_err(|error| self.straggling |= error.effect() == Effect::Unknown);
        self.stored.push(line?);
        Ok(())
    }

    async fn complete(&mut self) -> Result<ObjectMeta> {
        if self.failed {
            return Err(used_after_error(&self.key));
        }
        self.cx.check()?;
        let Some(upload) = self.upload.clone() else {
            let body = self.collected.take();
            let etag = md5(&body).await?;
            let (if_absent, sha256) = (self.options.if_absent, self.options.sha256);
            let new = NewObject { key: &self.key, query: "", etag, size: self.size, if_absent, sha256 };
            return self.account.create(&self.cx, new, Content::Pieces(body)).await;
        };
        // Whatever became of a segment: without the manifest there is no object.
        self.last_segments().await.map_err(|error| error.with_effect(Effect::None))?;
        let lines = std::mem::take(&mut self.stored);
        let meta = self.account.commit(&self.cx, &self.key, &upload, lines, &self.options).await?;
        self.account.settle(&self.cx.for_cleanup(CLEANUP), &self.key, &upload).await?;
        Ok(meta)
    }

    async fn last_segments(&mut self) -> Result<()> {
        if self.collected.bytes() > 0 {
            self.begin().await?;
        }
        while !self.under_way.is_empty() {
            self.ended().await?;
        }
        Ok(())
    }

    async fn discard(&mut self) -> Result<()> {
        let Some(upload) = self.upload.clone() else { return Ok(()) };
        let grace = self.cx.for_cleanup(GRACE);
        while let Some(mut task) = self.under_way.pop_front() {
            let ended = grace.run(async { Ok((&mut task).await) }).await;
            self.straggling |= !matches!(ended, Ok(Ok(Ok(_))));
            task.abort();
        }
        let cx = self.cx.for_cleanup(CLEANUP);
        self.account.remove_segments(&cx, &upload, self.begun).await?;
        if self.straggling {
            tracing::debug!(key = %self.key, "a segment may still arrive: the record of its upload stays for a sweep");
            return Ok(());
        }
        self.account.remove(&cx, &self.account.places.record(&upload)).await.map(drop)
    }
}

#[async_trait]
impl ObjectWriter for SwiftWriter {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        if self.failed {
            return Err(used_after_error(&self.key));
        }
        self.failed = true;
        let accepted = self.accept(data).await;
        self.failed = accepted.is_err();
        // The object is invisible whatever became of a segment.
        accepted.map_err(|error| error.with_effect(Effect::None))
    }

    async fn finish(mut self: Box<Self>) -> Result<ObjectMeta> {
        let finished = self.complete().await;
        if finished.as_ref().is_err_and(|error| error.effect() == Effect::None)
            && let Err(error) = self.discard().await
        {
            tracing::warn!(%error, "segments of an unfinished object stay until the next sweep");
        }
        finished
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        self.discard().await
    }
}

impl fmt::Debug for SwiftWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwiftWriter").field("key", &self.key).field("size", &self.size).finish_non_exhaustive()
    }
}
