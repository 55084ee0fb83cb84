//! What every check works with.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;

pub(super) use super::super::suite::{promise, skipped};
use super::StoreFactory;
use crate::context::JobContext;
use crate::error::{Code, Effect, Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::store::{ListOptions, ObjectMeta, ObjectWriter, PutOptions, ReadOptions, Store, StoreExt, WriteOptions};
use crate::testkit::{SeededRandom, test_context};

pub(super) struct Bench<'a> {
    pub(super) factory: &'a dyn StoreFactory,
    pub(super) store: Arc<dyn Store>,
    pub(super) cx: JobContext,
}

impl<'a> Bench<'a> {
    pub(super) async fn new(factory: &'a dyn StoreFactory) -> Self {
        let cx = test_context(&factory.environment());
        Self { factory, store: factory.fresh().await, cx }
    }

    /// Another job over the same store.
    pub(super) fn other_job(&self) -> JobContext {
        test_context(&self.factory.environment())
    }

    pub(super) async fn put(&self, key: &ObjectKey, body: impl Into<Bytes>) -> ObjectMeta {
        must("put", key, self.store.put(&self.cx, key, body.into(), PutOptions::if_absent()).await)
    }

    pub(super) async fn open(&self, key: &ObjectKey) -> Box<dyn ObjectWriter> {
        self.open_with(key, WriteOptions::new(self.cx.job().clone())).await
    }

    pub(super) async fn open_with(&self, key: &ObjectKey, options: WriteOptions) -> Box<dyn ObjectWriter> {
        must("writer", key, self.store.writer(&self.cx, key, options).await)
    }

    pub(super) async fn get(&self, key: &ObjectKey) -> Bytes {
        must("read", key, self.store.get(&self.cx, key, u64::MAX).await)
    }

    pub(super) async fn range(&self, key: &ObjectKey, range: std::ops::Range<u64>) -> Result<(ObjectMeta, Vec<u8>)> {
        let read = self.store.read(&self.cx, key, ReadOptions::range(range)).await?;
        let pieces: Vec<Bytes> = read.body.try_collect().await?;
        Ok((read.meta, pieces.concat()))
    }

    pub(super) async fn list(&self, prefix: &KeyPrefix, options: ListOptions) -> Vec<ObjectMeta> {
        let listed: Result<Vec<_>> = self.store.list(&self.cx, prefix, options).try_collect().await;
        listed.unwrap_or_else(|error| panic!("listing {prefix:?} must work: {error}"))
    }

    pub(super) async fn names(&self, prefix: &str, start_after: Option<&str>) -> Vec<String> {
        let prefix = KeyPrefix::new(prefix).expect("a valid prefix");
        let options = start_after.map_or_else(ListOptions::default, |after| ListOptions::start_after(key(after)));
        self.list(&prefix, options).await.into_iter().map(|meta| meta.key.to_string()).collect()
    }

    /// The key is in none of head, read and list.
    pub(super) async fn absent(&self, key: &ObjectKey, when: &str) {
        let head = self.store.head(&self.cx, key).await;
        refused(head, &codes::STORE_NOT_FOUND, &format!("head of {key} {when}"));
        let read = self.store.read(&self.cx, key, ReadOptions::default()).await;
        refused(read, &codes::STORE_NOT_FOUND, &format!("read of {key} {when}"));
        let listed = self.names("", None).await;
        promise!(!listed.contains(&key.to_string()), "{key} must not be listed {when}, the listing has {listed:?}");
    }

    /// The key is in all of head, read and list, with these bytes.
    pub(super) async fn present(&self, key: &ObjectKey, bytes: &[u8], when: &str) {
        let head = must(&format!("head {when}"), key, self.store.head(&self.cx, key).await);
        promise!(head.size == bytes.len() as u64, "head of {key} {when} says {} bytes, not {}", head.size, bytes.len());
        promise!(head.key == *key, "head of {key} {when} names {}", head.key);
        same(&self.get(key).await, bytes, &format!("the bytes of {key} {when}"));
        let listed = self.list(&KeyPrefix::root(), ListOptions::default()).await;
        let sizes: Vec<_> = listed.iter().filter(|meta| meta.key == *key).map(|meta| meta.size).collect();
        promise!(sizes == [bytes.len() as u64], "{key} {when} must be listed once with {} bytes, got {sizes:?}", bytes.len());
    }

    /// The factory's count of unfinished writes, where it has one.
    pub(super) async fn unfinished(&self, expected: usize, when: &str) {
        if let Some(count) = self.factory.unfinished().await {
            promise!(count == expected, "{when} there must be {expected} unfinished writes, not {count}");
        }
    }
}

pub(super) fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).expect("a valid key")
}

/// Bytes that do not repeat, the same in every run.
pub(super) fn data(seed: u64, count: usize) -> Bytes {
    Bytes::from(SeededRandom::new(seed).bytes(count))
}

pub(super) fn must<T>(what: &str, key: &ObjectKey, result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{what} of {key} must work: {error}"))
}

/// Equal bytes, without printing megabytes.
pub(super) fn same(got: &[u8], expected: &[u8], what: &str) {
    if got != expected {
        let differs = got.iter().zip(expected).position(|(a, b)| a != b);
        let (is, should) = (got.len(), expected.len());
        panic!("{what} must be what was written: {is} bytes instead of {should}, first difference at {differs:?}");
    }
}

/// An error of this code that says that nothing happened.
pub(super) fn refused<T>(result: Result<T>, code: &Code, what: &str) -> Error {
    match result {
        Ok(_) => panic!("{what} must fail with {}, and it succeeds", code.name),
        Err(error) => {
            promise!(error.code() == code, "{what} must fail with {}, not: {error}", code.name);
            promise!(error.effect() == Effect::None, "{what} must say that nothing happened, not: {error}");
            error
        }
    }
}
