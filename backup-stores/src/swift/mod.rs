#![doc = include_str!("docs.md")]

mod account;
pub mod codes;
mod collect;
mod config;
mod create;
mod delete;
mod digest;
mod error;
mod limits;
mod list;
mod manifest;
mod place;
mod put;
mod read;
mod record;
mod sweep;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use backup_core::error::codes as core_codes;
use backup_core::store::{
    Capabilities, DeleteReport, ListOptions, NativePlace, ObjectRead, Payload, PutOptions, ReadOptions, SweepOptions,
    SweepReport, WriteOptions,
};
use backup_core::{
    Bytes, Error, JobContext, KeyPrefix, ObjectKey, ObjectMeta, ObjectWriter, Result, ResultExt, Store, async_trait,
};
use backup_remote::Calls;
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::Keystone;
use futures::stream::BoxStream;

use crate::config::OpenOptions;
use account::{Account, Shared};
pub use config::SwiftConfig;
use create::{Content, NewObject};
use limits::Limits;
use place::{Places, SEGMENTS};

/// A container of OpenStack Swift as a [`Store`]. Cheap to clone; see the [module](self) for what it promises.
#[derive(Debug, Clone)]
pub struct SwiftStore {
    account: Shared,
}

impl SwiftStore {
    /// Logs in, asks for the cluster's limits, and makes the container when it is missing; for reading it has to be there.
    ///
    /// # Errors
    /// Those of [`Keystone`]; `swift.no_container`; `store.denied`; `input.invalid` for a container or prefix that cannot be.
    ///
    /// # Cancel safety
    /// May be dropped; a container that it made stays.
    pub async fn open(cx: &JobContext, config: &SwiftConfig, options: &OpenOptions) -> Result<Self> {
        Self::opened(cx, config, options).await.context(|| format!("opening {config}"))
    }

    async fn opened(cx: &JobContext, config: &SwiftConfig, options: &OpenOptions) -> Result<Self> {
        let prefix = config.place()?;
        let http_options = HttpOptions::default().ca_file(config.ca_file.clone());
        let calls = |service: &str| Calls::observed(service, config.requests.clone(), options.observer.clone());
        let keystone = Keystone::new(Http::new(calls("keystone"), &http_options)?, config.keystone())?;
        let http = Http::new(calls("swift"), &http_options)?;
        let service = keystone.service(cx, http, &["object-store"]).await?;
        let limits = Limits::of(service.http(), cx, service.url()).await?;
        let places = Places {
            container: config.container.clone(),
            segments: format!("{}{SEGMENTS}", config.container),
            prefix: prefix.as_str().to_owned(),
            longest_name: limits.name,
        };
        let account = Account::new(service, places, limits, config.segment_size);
        if !account.has_container(cx, &config.container).await? {
            if options.read_only || options.guest {
                let text = format!("there is no container `{}` in {}", config.container, account.service.url());
                return Err(Error::new(&codes::NO_CONTAINER, text));
            }
            account.make_container(cx, &config.container).await?;
        }
        Ok(Self { account: Arc::new(account) })
    }
}

#[async_trait]
impl Store for SwiftStore {
    /// No conditional create: of writers that overlap several may pass Swift's check, and the last one's object stays.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn writer_memory(&self, size_hint: Option<u64>) -> u64 {
        writer::memory(&self.account, size_hint)
    }

    async fn put(&self, cx: &JobContext, key: &ObjectKey, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        cx.check()?;
        let size = body.len() as u64;
        if size > self.account.limits.object {
            let text = format!("`{key}` has {size} bytes; Swift takes {} at once", self.account.limits.object);
            return Err(Error::new(&core_codes::INPUT_INVALID, text));
        }
        let body = vec![body];
        let etag = digest::md5(&body).await?;
        let new = NewObject { key, query: "", etag, size, if_absent: options.if_absent, sha256: None };
        self.account.create(cx, new, Content::Pieces(body)).await
    }

    /// In one request as far as the cluster takes objects in one piece: then it is no large object.
    async fn put_from(
        &self,
        cx: &JobContext,
        key: &ObjectKey,
        payload: Arc<dyn Payload>,
        options: WriteOptions,
    ) -> Result<ObjectMeta> {
        put::put_from(self, cx, key, payload, options).await
    }

    fn put_memory(&self, size: u64) -> u64 {
        if put::in_one_piece(&self.account, size) { put::MEMORY } else { self.writer_memory(Some(size)) }
    }

    async fn give_up(&self, cx: &JobContext, _: &ObjectKey, upload: &str) -> Result<()> {
        sweep::give_up(&self.account, cx, upload).await
    }

    async fn writer(&self, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        Ok(Box::new(writer::SwiftWriter::open(Arc::clone(&self.account), cx, key, options)?))
    }

    async fn read(&self, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
        read::read(Arc::clone(&self.account), cx, key, options).await
    }

    async fn head(&self, cx: &JobContext, key: &ObjectKey) -> Result<ObjectMeta> {
        read::head(&self.account, cx, key).await
    }

    fn list(&self, cx: &JobContext, prefix: &KeyPrefix, options: ListOptions) -> BoxStream<'static, Result<ObjectMeta>> {
        list::list(Arc::clone(&self.account), cx.clone(), prefix, options.start_after)
    }

    async fn delete(&self, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport> {
        delete::delete(&self.account, cx, keys).await
    }

    fn native_place(&self, prefix: &KeyPrefix) -> Option<NativePlace> {
        Some(NativePlace::new("swift", self.account.places.container.clone(), format!("{}{prefix}", self.account.places.prefix)))
    }

    async fn sweep(&self, cx: &JobContext, options: SweepOptions) -> Result<SweepReport> {
        sweep::sweep(&self.account, cx, &options).await
    }
}
