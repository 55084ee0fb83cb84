//! A big object: one request while it is small, else parts, a few of them under way at a time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::store::{UploadNotes, WriteOptions};
use backup_core::{Bytes, Effect, Error, JobContext, ObjectKey, ObjectMeta, ObjectWriter, Result, async_trait};
use http::HeaderValue;
use tokio::task::JoinSet;

use super::bucket::{Bucket, Stamp};
use super::codes;
use super::multipart::{Part, Upload};
use super::notes::UploadNote;
use super::parts::PartPlan;
use super::put::put;
use super::settle::{read_back, settle, whole};
use super::wire::checksum_value;
use crate::latch::used_after_error;

/// How long giving an upload up may take.
const CLEANUP: Duration = Duration::from_secs(30);

/// The writer of one object.
pub(super) struct S3Writer {
    bucket: Arc<Bucket>,
    cx: JobContext,
    key: ObjectKey,
    if_absent: bool,
    notes: Option<Arc<dyn UploadNotes>>,
    stamp: Stamp,
    plan: PartPlan,
    /// The number of the part that is being filled.
    number: u32,
    filling: Filling,
    size: u64,
    /// The upload and its note, from the first full part on.
    begun: Option<Begun>,
    sending: JoinSet<Result<(Part, u64)>>,
    /// Bytes of the parts that are under way.
    under_way: u64,
    sent: Vec<Part>,
    /// Set by the first error, and while a call is under way: a call that is dropped leaves it set.
    failed: bool,
}

#[derive(Debug)]
struct Begun {
    upload: Option<Upload>,
    note: Option<String>,
}

/// The part that is being filled, as the pieces that it came in.
#[derive(Default)]
struct Filling {
    pieces: Vec<Bytes>,
    bytes: u64,
    crc: crc32fast::Hasher,
}

impl Filling {
    fn push(&mut self, piece: Bytes) {
        self.crc.update(&piece);
        self.bytes += piece.len() as u64;
        self.pieces.push(piece);
    }

    fn take(&mut self) -> (Vec<Bytes>, u64, HeaderValue) {
        let filled = std::mem::take(self);
        (filled.pieces, filled.bytes, checksum_value(filled.crc.finalize()))
    }
}

impl S3Writer {
    pub(super) fn open(bucket: Arc<Bucket>, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Self> {
        cx.check()?;
        Ok(Self {
            plan: bucket.parts(options.size_hint),
            stamp: Stamp { sha256: options.sha256, ..bucket.stamp(cx, &options.owner, options.retain_until) },
            bucket,
            cx: cx.clone(),
            key: key.clone(),
            if_absent: options.if_absent,
            notes: options.notes,
            number: 1,
            filling: Filling::default(),
            size: 0,
            begun: None,
            sending: JoinSet::new(),
            under_way: 0,
            sent: Vec::new(),
            failed: false,
        })
    }

    async fn accept(&mut self, mut data: Bytes) -> Result<()> {
        self.cx.check()?;
        self.size += data.len() as u64;
        if self.bucket.max_object().is_some_and(|max| self.size > max) {
            return Err(self.too_big());
        }
        while !data.is_empty() {
            let Some(part) = self.plan.size(self.number) else { return Err(self.too_big()) };
            if self.filling.bytes == part {
                self.send().await?;
                continue;
            }
            if self.filling.bytes == 0 {
                self.make_room(part).await?;
            }
            let room = usize::try_from(part - self.filling.bytes).unwrap_or(usize::MAX);
            self.filling.push(data.split_to(room.min(data.len())));
        }
        // A full part leaves at once, unless it may turn out to be the whole object.
        if self.number > 1 && self.plan.size(self.number) == Some(self.filling.bytes) {
            self.send().await?;
        }
        Ok(())
    }

    /// Waits until a part of `bytes` fits into the memory beside those that are under way.
    async fn make_room(&mut self, bytes: u64) -> Result<()> {
        while self.under_way + bytes > self.plan.memory() {
            self.one_sent().await?;
        }
        Ok(())
    }

    /// Waits for a part.
    async fn one_sent(&mut self) -> Result<()> {
        let cx = self.cx.clone();
        let ended = cx.run(async { Ok(self.sending.join_next().await) }).await?;
        let Some(ended) = ended else { return Ok(()) };
        let lost = |error| Error::new(&core_codes::INTERNAL, "the task of a part ended early").with_source(error);
        let (part, bytes) = ended.map_err(lost)??;
        self.under_way -= bytes;
        self.sent.push(part);
        Ok(())
    }

    /// Sends the part that was filled.
    async fn send(&mut self) -> Result<()> {
        let upload = self.upload().await?;
        let (number, (pieces, bytes, checksum)) = (self.number, self.filling.take());
        let cx = self.cx.clone();
        self.number += 1;
        self.under_way += bytes;
        self.sending.spawn(async move { Ok((upload.part(&cx, number, pieces, checksum).await?, bytes)) });
        Ok(())
    }

    /// The upload, begun when there is none: first the note that says whose it is, so that no crash leaves one without.
    async fn upload(&mut self) -> Result<Upload> {
        if let Some(Begun { upload: Some(upload), .. }) = &self.begun {
            return Ok(upload.clone());
        }
        let (bucket, cx) = (Arc::clone(&self.bucket), self.cx.clone());
        let object = bucket.names.object(&self.key);
        let note = bucket.notes.then(|| bucket.note_name(&cx, &self.stamp.job));
        let begun = self.begun.insert(Begun { upload: None, note: note.clone() });
        if let Some(note) = &note {
            bucket.write_note(&cx, note, &UploadNote { object: object.clone(), upload: None }).await?;
        }
        let upload = Upload::create(&bucket.wire, &cx, object.clone(), bucket.headers(&self.stamp)).await?;
        begun.upload = Some(upload.clone());
        if let Some(notes) = &self.notes {
            notes.began(&upload.id).await?;
        }
        if let Some(note) = &note {
            bucket.write_note(&cx, note, &UploadNote { object, upload: Some(upload.id.clone()) }).await?;
        }
        Ok(upload)
    }

    async fn complete(&mut self) -> Result<ObjectMeta> {
        if self.failed {
            return Err(used_after_error(&self.key));
        }
        self.cx.check()?;
        if self.begun.is_none() {
            let (pieces, ..) = self.filling.take();
            return put(&self.bucket, &self.cx, &self.key, pieces, &self.stamp, self.if_absent).await;
        }
        // Whatever became of a part: without the completion there is no object.
        self.last_parts().await.map_err(|error| error.with_effect(Effect::None))?;
        self.sent.sort_unstable_by_key(Part::number);
        let (bucket, cx, key, stamp) = (&self.bucket, &self.cx, &self.key, &self.stamp);
        let upload = match &self.begun {
            Some(Begun { upload: Some(upload), .. }) => upload,
            _ => return Err(used_after_error(key)),
        };
        let conditional = self.if_absent && bucket.found.conditional_multipart;
        if self.if_absent && !conditional && bucket.stat_opt(cx, key).await?.is_some() {
            return Err(super::bucket::exists(key));
        }
        let meta = match upload.complete(cx, &self.sent, self.size, conditional).await {
            Ok(()) if self.if_absent && !conditional => read_back(bucket, cx, key, stamp, self.size).await,
            Ok(()) => match bucket.stat(cx, key).await {
                Ok(seen) => whole(seen.meta, self.size),
                Err(error) => Err(error.with_effect(Effect::Applied)),
            },
            Err(error) => settle(bucket, cx, key, stamp, self.size, self.if_absent, error).await,
        }?;
        bucket.ensure_locked(cx, key, stamp).await?;
        Ok(meta)
    }

    async fn last_parts(&mut self) -> Result<()> {
        if self.filling.bytes > 0 {
            self.send().await?;
        }
        while !self.sending.is_empty() {
            self.one_sent().await?;
        }
        Ok(())
    }

    /// Removes what is at the server: the parts first, then the note that would find them.
    async fn discard(&mut self) -> Result<()> {
        self.sending.abort_all();
        while self.sending.join_next().await.is_some() {}
        let Some(begun) = &self.begun else { return Ok(()) };
        let cx = self.cx.for_cleanup(CLEANUP);
        let Some(note) = &begun.note else {
            return match &begun.upload {
                Some(upload) => upload.abort(&cx).await,
                None => Ok(()),
            };
        };
        match &begun.upload {
            Some(upload) => upload.abort(&cx).await?,
            // Whether it was begun is not known: the note stays for the sweep, unless nothing is there.
            None => self.bucket.abort_unnamed(&cx, note, &self.bucket.names.object(&self.key)).await?,
        }
        self.bucket.remove_reserved(&cx, note).await
    }

    fn too_big(&self) -> Error {
        let text = match self.bucket.max_object() {
            Some(max) => format!("`{}` is bigger than the configured `max-object-size` of {max} bytes; raise it", self.key),
            None => format!(
                "`{}` needs more than the 10,000 parts that S3 allows, for nobody said before that it would have {} bytes and more; \
                 set `max-object-size` to the size of the biggest object",
                self.key, self.size
            ),
        };
        Error::new(&codes::S3_TOO_BIG, text)
    }
}

#[async_trait]
impl ObjectWriter for S3Writer {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        if self.failed {
            return Err(used_after_error(&self.key));
        }
        self.failed = true;
        let accepted = self.accept(data).await;
        self.failed = accepted.is_err();
        // The object is invisible whatever became of a part.
        accepted.map_err(|error| error.with_effect(Effect::None))
    }

    async fn finish(mut self: Box<Self>) -> Result<ObjectMeta> {
        let finished = self.complete().await;
        match &finished {
            Ok(_) => {
                if let Some(Begun { note: Some(note), .. }) = &self.begun
                    && let Err(error) = self.bucket.remove_reserved(&self.cx.for_cleanup(CLEANUP), note).await
                {
                    tracing::warn!(%error, "the note of a finished upload stays until the next sweep");
                }
            }
            Err(error) if error.effect() == Effect::None => {
                if let Err(error) = self.discard().await {
                    tracing::warn!(%error, "an unfinished upload stays until the next sweep");
                }
            }
            Err(_) => {}
        }
        finished
    }

    async fn abort(mut self: Box<Self>) -> Result<()> {
        self.discard().await
    }
}

impl fmt::Debug for S3Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Writer").field("key", &self.key).field("size", &self.size).finish_non_exhaustive()
    }
}
