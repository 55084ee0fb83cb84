//! Listings.

use std::sync::Arc;

use backup_core::{Error, JobContext, KeyPrefix, ObjectKey, ObjectMeta, Result};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::HeaderMap;
use opendal::options::ListOptions;
use opendal::raw::OpList;
use opendal::raw::oio::Lister;

use super::bucket::{Bucket, meta};
use super::transport::Through;

/// All objects under `prefix`, those in the reserved place left out.
pub(super) fn list(
    bucket: Arc<Bucket>,
    cx: JobContext,
    prefix: KeyPrefix,
    after: Option<ObjectKey>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let names = names(Arc::clone(&bucket), cx, bucket.names.under(&prefix), after.map(|after| bucket.names.object(&after)));
    let mut warned = false;
    names
        .filter_map(move |listed| {
            let found = match listed {
                Err(error) => Some(Err(error)),
                Ok((name, metadata)) => match bucket.names.key(&name) {
                    Some(key) => Some(Ok(meta(key, &metadata))),
                    None => {
                        if !warned && !bucket.names.is_reserved(&name) {
                            tracing::warn!(
                                name,
                                "the bucket holds a name that is no valid key; it and others like it are ignored"
                            );
                            warned = true;
                        }
                        None
                    }
                },
            };
            futures::future::ready(found)
        })
        .boxed()
}

/// Everything in the bucket whose name begins with `prefix`, in byte order.
pub(super) fn names(
    bucket: Arc<Bucket>,
    cx: JobContext,
    prefix: String,
    after: Option<String>,
) -> BoxStream<'static, Result<(String, opendal::Metadata)>> {
    let through = Through::new(&bucket.wire, &cx, HeaderMap::new());
    let listing = Listing { bucket, through, lister: None, prefix, after, last: None };
    stream::try_unfold(listing, |mut listing| async move { Ok(listing.next().await?.map(|found| (found, listing))) }).boxed()
}

struct Listing {
    bucket: Arc<Bucket>,
    through: Through,
    lister: Option<Lister>,
    prefix: String,
    after: Option<String>,
    last: Option<String>,
}

impl Listing {
    async fn next(&mut self) -> Result<Option<(String, opendal::Metadata)>> {
        let Some(entry) = self.entry().await.map_err(|error| self.through.error(error))? else { return Ok(None) };
        let (name, metadata) = entry.into_parts();
        if self.last.as_ref().is_some_and(|last| *last >= name) {
            let text = format!("the server's listing is not in byte order: `{name}` comes late");
            return Err(Error::new(&backup_remote::codes::ANSWER, text));
        }
        self.last = Some(name.clone());
        Ok(Some((name, metadata)))
    }

    async fn entry(&mut self) -> opendal::Result<Option<opendal::raw::oio::Entry>> {
        if self.lister.is_none() {
            let options = ListOptions { recursive: true, start_after: self.after.take(), ..ListOptions::default() };
            self.lister = Some(self.bucket.service.list_dyn(&self.through.context, &self.prefix, OpList::from(options))?);
        }
        match &mut self.lister {
            Some(lister) => lister.next_dyn().await,
            None => Ok(None),
        }
    }
}
