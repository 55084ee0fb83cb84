//! A store with one defect each.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};

use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::store::*;
use crate::testkit::{SimStore, test_context};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Defect {
    VisibleBeforeFinish,
    PutOverwrites,
    WriterOverwrites,
    LosesTinyWrites,
    WrongFinishedSize,
    AbortKeeps,
    UnorderedList,
    DirectoryOrder,
    ListCutAtThousand,
    PrefixWithoutBorder,
    IgnoresStartAfter,
    IgnoresRange,
    EmptyBehindEnd,
    SwallowsReadErrors,
    DeleteCallsAllDeleted,
    IgnoresCancel,
    SweepKeepsAll,
    SweepIgnoresOwnerAndAge,
    SweepTakesTmpObjects,
    FoldsCase,
    UnlocksOnDelete,
    MissingIsUnavailable,
}

use Defect::*;

#[derive(Debug)]
pub(super) struct Broken {
    pub(super) inner: SimStore,
    pub(super) defect: Defect,
}

impl Broken {
    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn cx(&self, cx: &JobContext) -> JobContext {
        if self.has(IgnoresCancel) { test_context(cx.environment()) } else { cx.clone() }
    }

    fn key(&self, key: &ObjectKey) -> ObjectKey {
        if self.has(FoldsCase) { ObjectKey::new(key.as_str().to_lowercase()).unwrap() } else { key.clone() }
    }

    fn missing<T>(&self, answer: Result<T>) -> Result<T> {
        answer.map_err(|error| match error.is_not_found() && self.has(MissingIsUnavailable) {
            true => Error::new(&codes::STORE_UNAVAILABLE, "no idea"),
            false => error,
        })
    }
}

#[async_trait]
impl Store for Broken {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn put(&self, cx: &JobContext, key: &ObjectKey, body: Bytes, mut options: PutOptions) -> Result<ObjectMeta> {
        options.if_absent &= !self.has(PutOverwrites);
        let mut meta = self.inner.put(&self.cx(cx), &self.key(key), body, options).await?;
        meta.key = key.clone();
        Ok(meta)
    }

    async fn writer(&self, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        let if_absent = options.if_absent && !self.has(WriterOverwrites);
        let inner = self.inner.writer(&self.cx(cx), key, options.if_absent(if_absent)).await?;
        Ok(Box::new(BrokenWriter { inner, defect: self.defect, store: self.inner.clone(), key: key.clone() }))
    }

    async fn read(&self, cx: &JobContext, key: &ObjectKey, mut options: ReadOptions) -> Result<ObjectRead> {
        let (cx, key) = (self.cx(cx), self.key(key));
        if self.has(IgnoresRange) {
            options.range = None;
        }
        let answer = self.inner.read(&cx, &key, options).await;
        if self.has(EmptyBehindEnd) && matches!(&answer, Err(error) if error.code() == &codes::INPUT_INVALID) {
            let meta = self.inner.head(&cx, &key).await?;
            return Ok(ObjectRead { meta, body: stream::empty().boxed() });
        }
        let mut read = self.missing(answer)?;
        if self.has(SwallowsReadErrors) {
            // An object that is deleted meanwhile ends the body, and nobody hears why.
            let (store, body) = (self.inner.clone(), read.body);
            let pieces = body.then(move |piece| {
                let gone = store.raw_get(key.as_str()).is_none();
                async move {
                    tokio::task::yield_now().await;
                    if gone { Err(Error::new(&codes::STORE_IO, "gone")) } else { piece }
                }
            });
            read.body = pieces.take_while(|piece| std::future::ready(piece.is_ok())).boxed();
        }
        Ok(read)
    }

    async fn head(&self, cx: &JobContext, key: &ObjectKey) -> Result<ObjectMeta> {
        self.missing(self.inner.head(&self.cx(cx), &self.key(key)).await)
    }

    fn list(&self, cx: &JobContext, prefix: &KeyPrefix, options: ListOptions) -> BoxStream<'static, Result<ObjectMeta>> {
        let (defect, wanted) = (self.defect, prefix.clone());
        let options = if defect == IgnoresStartAfter { ListOptions::default() } else { options };
        let prefix = if defect == PrefixWithoutBorder { KeyPrefix::root() } else { prefix.clone() };
        let inner = self.inner.list(&self.cx(cx), &prefix, options);
        let all = inner.try_collect::<Vec<_>>().map(move |listed| {
            let mut listed = match listed {
                Ok(listed) => listed,
                Err(error) => return vec![Err(error)],
            };
            match defect {
                UnorderedList => listed.reverse(),
                // What a walk does that sorts each directory by its names: `/` sorts first.
                DirectoryOrder => listed.sort_by_key(|meta| meta.key.as_str().replace('/', "\0")),
                ListCutAtThousand => listed.truncate(1000),
                PrefixWithoutBorder => listed.retain(|meta| meta.key.as_str().starts_with(wanted.as_str().trim_end_matches('/'))),
                _ => {}
            }
            listed.into_iter().map(Ok).collect()
        });
        all.map(stream::iter).flatten_stream().boxed()
    }

    async fn delete(&self, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport> {
        if self.has(UnlocksOnDelete) {
            for key in keys {
                self.inner.raw_delete(key.as_str());
            }
        }
        let mut report = self.inner.delete(&self.cx(cx), keys).await?;
        if self.has(DeleteCallsAllDeleted) || self.has(UnlocksOnDelete) {
            report.deleted.append(&mut report.missing);
        }
        Ok(report)
    }

    async fn sweep(&self, cx: &JobContext, mut options: SweepOptions) -> Result<SweepReport> {
        match self.defect {
            SweepKeepsAll => return Ok(SweepReport::default()),
            SweepIgnoresOwnerAndAge => {
                options = SweepOptions::new(options.older_than + chrono::TimeDelta::days(1), Vec::new());
            }
            SweepTakesTmpObjects => {
                self.inner.raw_delete("kept/x.tmp");
            }
            _ => {}
        }
        self.inner.sweep(&self.cx(cx), options).await
    }
}

#[derive(Debug)]
struct BrokenWriter {
    inner: Box<dyn ObjectWriter>,
    defect: Defect,
    store: SimStore,
    key: ObjectKey,
}

#[async_trait]
impl ObjectWriter for BrokenWriter {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        match self.defect {
            VisibleBeforeFinish => self.store.raw_put(self.key.as_str(), data.clone()),
            LosesTinyWrites if data.len() == 1 => return Ok(()),
            _ => {}
        }
        self.inner.write(data).await
    }

    async fn finish(self: Box<Self>) -> Result<ObjectMeta> {
        if self.defect == VisibleBeforeFinish {
            self.store.raw_delete(self.key.as_str());
        }
        let mut meta = self.inner.finish().await?;
        if self.defect == WrongFinishedSize {
            meta.size += 1;
        }
        Ok(meta)
    }

    async fn abort(self: Box<Self>) -> Result<()> {
        if self.defect == AbortKeeps { Ok(()) } else { self.inner.abort().await }
    }
}
