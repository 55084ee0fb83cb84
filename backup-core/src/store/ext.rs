//! Conveniences over [`Store`], for every implementation.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};

use super::{ListOptions, ObjectMeta, ReadOptions, Store};
use crate::context::JobContext;
use crate::error::{Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};

/// Conveniences over [`Store`].
#[async_trait]
pub trait StoreExt {
    /// The whole of a small object.
    ///
    /// # Errors
    /// Those of [`Store::read`]; `input.invalid` when it has more than `limit` bytes, before they are read.
    async fn get(&self, cx: &JobContext, key: &ObjectKey, limit: u64) -> Result<Bytes>;

    /// Like [`StoreExt::get`], with `None` for an object that is not there.
    async fn get_opt(&self, cx: &JobContext, key: &ObjectKey, limit: u64) -> Result<Option<Bytes>>;

    /// What is known of an object, `None` when it is not there.
    async fn head_opt(&self, cx: &JobContext, key: &ObjectKey) -> Result<Option<ObjectMeta>>;

    /// The whole listing of a prefix in memory: for prefixes known to be short.
    async fn list_all(&self, cx: &JobContext, prefix: &KeyPrefix) -> Result<Vec<ObjectMeta>>;
}

#[async_trait]
impl<S: Store + ?Sized> StoreExt for S {
    async fn get(&self, cx: &JobContext, key: &ObjectKey, limit: u64) -> Result<Bytes> {
        let mut read = self.read(cx, key, ReadOptions::default()).await?;
        if read.meta.size > limit {
            return Err(Error::new(
                &codes::INPUT_INVALID,
                format!("{key} has {} bytes; at most {limit} are read at once", read.meta.size),
            ));
        }
        let mut body = BytesMut::with_capacity(read.meta.size as usize);
        while let Some(piece) = read.body.next().await {
            body.extend_from_slice(&piece?);
        }
        Ok(body.freeze())
    }

    async fn get_opt(&self, cx: &JobContext, key: &ObjectKey, limit: u64) -> Result<Option<Bytes>> {
        none_if_missing(self.get(cx, key, limit).await)
    }

    async fn head_opt(&self, cx: &JobContext, key: &ObjectKey) -> Result<Option<ObjectMeta>> {
        none_if_missing(self.head(cx, key).await)
    }

    async fn list_all(&self, cx: &JobContext, prefix: &KeyPrefix) -> Result<Vec<ObjectMeta>> {
        self.list(cx, prefix, ListOptions::default()).try_collect().await
    }
}

fn none_if_missing<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
