//! What the tests work with: a server, a store on it, and bytes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backup_core::store::{ObjectRead, PutOptions, ReadOptions, StoreExt, WriteOptions};
use backup_core::testkit::{SeededRandom, test_context};
use backup_core::{Bytes, Environment, JobContext, KeyPrefix, ObjectKey, ObjectMeta, ObjectWriter, Result, Store};
use backup_remote::CallLimits;
use backup_stores::OpenOptions;
use backup_stores::nfs::{NfsConfig, NfsStore};
use futures::TryStreamExt;

use crate::ganesha::{Ganesha, Setup};
use crate::rpc_proxy::RpcProxy;

pub(crate) const ROOT: &str = "backups";

/// A store on a server of its own, through a proxy.
pub(crate) struct Bench {
    pub(crate) server: Ganesha,
    pub(crate) proxy: RpcProxy,
    pub(crate) store: Arc<NfsStore>,
    pub(crate) cx: JobContext,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let server = Ganesha::with(setup);
        let proxy = RpcProxy::start(server.nfs_port).await;
        let store = open(&server.config_over(ROOT, proxy.address.port())).await.unwrap();
        Self { server, proxy, store: Arc::new(store), cx: context() }
    }

    /// Where an object lies on the server's disk.
    pub(crate) fn on_disk(&self, key: &str) -> PathBuf {
        self.server.export().join(ROOT).join(key)
    }

    /// How many temporary files lie there.
    pub(crate) fn unfinished(&self) -> usize {
        std::fs::read_dir(self.on_disk(".backup/tmp")).map_or(0, Iterator::count)
    }

    pub(crate) async fn put(&self, name: &str, body: impl Into<Bytes>) -> Result<ObjectMeta> {
        self.store.put(&self.cx, &key(name), body.into(), PutOptions::if_absent()).await
    }

    pub(crate) async fn writer(&self, name: &str) -> Box<dyn ObjectWriter> {
        self.store.writer(&self.cx, &key(name), WriteOptions::new(self.cx.job().clone())).await.unwrap()
    }

    /// Writes in pieces of a mebibyte; gives up what failed, as the engine does.
    pub(crate) async fn write(&self, name: &str, bytes: &Bytes) -> Result<ObjectMeta> {
        let mut writer = self.writer(name).await;
        let mut rest = bytes.clone();
        while !rest.is_empty() {
            if let Err(error) = writer.write(rest.split_to(rest.len().min(1 << 20))).await {
                writer.abort().await.unwrap();
                return Err(error);
            }
        }
        writer.finish().await
    }

    pub(crate) async fn read(&self, name: &str) -> Result<Vec<u8>> {
        collect(self.store.read(&self.cx, &key(name), ReadOptions::default()).await?).await
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        let listed = self.store.list_all(&self.cx, &KeyPrefix::root()).await.unwrap();
        listed.into_iter().map(|meta| meta.key.to_string()).collect()
    }

    pub(crate) async fn delete(&self, name: &str) -> backup_core::store::DeleteReport {
        self.store.delete(&self.cx, &[key(name)]).await.unwrap()
    }
}

pub(crate) async fn collect(read: ObjectRead) -> Result<Vec<u8>> {
    let pieces: Vec<Bytes> = read.body.try_collect().await?;
    Ok(pieces.concat())
}

pub(crate) async fn open(config: &NfsConfig) -> Result<NfsStore> {
    NfsStore::open(&context(), config, &OpenOptions::default()).await
}

pub(crate) async fn open_read_only(config: &NfsConfig) -> Result<NfsStore> {
    NfsStore::open(&context(), config, &OpenOptions::default().read_only(true)).await
}

/// A job that ends before anybody loses patience.
pub(crate) fn context() -> JobContext {
    test_context(&Environment::default()).with_limit(Duration::from_secs(120))
}

/// Limits that give up soon.
pub(crate) fn impatient() -> CallLimits {
    serde_json::from_str(r#"{"attempts": 3, "timeout-in-second": 1, "stall-timeout-in-second": 2}"#).unwrap()
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

pub(crate) fn data(size: usize) -> Bytes {
    SeededRandom::new(size as u64).bytes(size).into()
}
