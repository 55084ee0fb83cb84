//! [`Store`] for [`SimStore`].

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::SimStore;
use super::state::{NewObject, Unfinished};
use super::trace::OpKind;
use super::writer::SimWriter;
use crate::context::JobContext;
use crate::error::Result;
use crate::key::{KeyPrefix, ObjectKey};
use crate::store::{
    Capabilities, DeleteReport, ExternalLocation, ListOptions, ObjectMeta, ObjectRead, ObjectWriter, PutOptions, ReadOptions,
    Store, SweepOptions, SweepReport, WriteOptions,
};

#[async_trait]
impl Store for SimStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().conditional_create(self.with(|state| state.decides_races)).retention_lock(true)
    }

    async fn put(&self, cx: &JobContext, key: &ObjectKey, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        cx.check()?;
        let if_absent = self.if_absent(key, options.if_absent).await?;
        let new = NewObject { key: key.clone(), bytes: body, if_absent, retain_until: options.retain_until };
        let clock = self.shared.clock.clone();
        self.step(cx, OpKind::Put, key.as_str(), move |state| state.create(new, clock.now())).await
    }

    async fn writer(&self, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        cx.check()?;
        let (clock, owned_key, owner) = (self.shared.clock.clone(), key.clone(), options.owner.clone());
        let open = move |state: &mut super::state::State| {
            let id = state.number();
            let unfinished = Unfinished { key: owned_key, owner, changed: clock.now(), data: BytesMut::new() };
            state.unfinished.insert(id, unfinished);
            Ok(id)
        };
        let id = self.step(cx, OpKind::Open, key.as_str(), open).await?;
        Ok(Box::new(SimWriter::new(self.clone(), cx.clone(), id, key.clone(), options)))
    }

    async fn read(&self, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
        self.open_body(cx, key, options).await
    }

    async fn head(&self, cx: &JobContext, key: &ObjectKey) -> Result<ObjectMeta> {
        cx.check()?;
        let owned = key.clone();
        self.step(cx, OpKind::Head, key.as_str(), move |state| Ok(state.get(&owned)?.meta(&owned))).await
    }

    fn list(&self, cx: &JobContext, prefix: &KeyPrefix, options: ListOptions) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, cx, prefix) = (self.clone(), cx.clone(), prefix.clone());
        // The listing's number is drawn with its first page; `None` in the second place ends it.
        let start = (None, Some(options.start_after));
        let pages = stream::try_unfold(start, move |(listing, after)| {
            let (store, cx, prefix) = (store.clone(), cx.clone(), prefix.clone());
            async move {
                let Some(after) = after else { return Ok(None) };
                cx.check()?;
                let text = prefix.to_string();
                let page = move |state: &mut super::state::State| {
                    let listing = listing.unwrap_or_else(|| {
                        state.listings += 1;
                        state.listings
                    });
                    let page = state.page(&prefix, after.as_ref(), listing);
                    let next = (page.len() == state.list_page).then(|| page.last().map(|meta| meta.key.clone()));
                    Ok((page, listing, next))
                };
                let (page, listing, next) = store.step(&cx, OpKind::List, &text, page).await?;
                Ok(Some((stream::iter(page).map(Ok), (Some(listing), next))))
            }
        });
        pages.try_flatten().boxed()
    }

    async fn delete(&self, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport> {
        cx.check()?;
        self.alive()?;
        let mut report = DeleteReport::default();
        for key in keys {
            let (clock, owned) = (self.shared.clock.clone(), key.clone());
            match self.step(cx, OpKind::Delete, key.as_str(), move |state| state.remove(&owned, clock.now())).await {
                Ok(true) => report.deleted.push(key.clone()),
                Ok(false) => report.missing.push(key.clone()),
                Err(error) => report.failed.push((key.clone(), error)),
            }
        }
        Ok(report)
    }

    async fn sweep(&self, cx: &JobContext, options: SweepOptions) -> Result<SweepReport> {
        cx.check()?;
        let sweep = move |state: &mut super::state::State| {
            let before = state.unfinished.len();
            state.unfinished.retain(|_, left| left.changed >= options.older_than || options.keep.contains(&left.owner));
            Ok(SweepReport { removed: (before - state.unfinished.len()) as u64, failed: Vec::new() })
        };
        self.step(cx, OpKind::Sweep, "", sweep).await
    }

    fn external_location(&self, prefix: &KeyPrefix) -> Option<ExternalLocation> {
        self.with(|state| state.external.as_ref().map(|url| ExternalLocation::new(format!("{url}/{prefix}"))))
    }
}
