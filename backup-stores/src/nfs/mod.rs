#![doc = include_str!("docs.md")]

pub mod codes;
mod config;
mod delete;
mod dir;
mod error;
mod file;
mod list;
mod probe;
mod publish;
mod read;
mod sweep;
mod task;
mod temp;
mod tree;
mod window;
mod wire;
mod writer;

use std::sync::Arc;

use backup_core::error::codes as core_codes;
use backup_core::store::{
    Capabilities, DeleteReport, ExternalLocation, ListOptions, NativePlace, ObjectRead, PutOptions, ReadOptions, SweepOptions,
    SweepReport, WriteOptions,
};
use backup_core::{
    Bytes, Error, JobContext, KeyPrefix, ObjectKey, ObjectMeta, ObjectWriter, Result, ResultExt, Store, async_trait,
};
use backup_remote::Calls;
use futures::stream::BoxStream;

use crate::OpenOptions;
use crate::files::{KeyPath, is_silly};
pub use config::NfsConfig;
use tree::Tree;
use wire::{Session, Target};
use writer::NfsWriter;

/// A directory of an NFSv3 server as a [`Store`], reached without a mount. Cheap to clone; see the [module](self) for what it promises.
#[derive(Debug, Clone)]
pub struct NfsStore {
    tree: Arc<Tree>,
    connections: usize,
    /// The root's directory on the server.
    directory: String,
}

impl NfsStore {
    /// Opens the store. For writing it makes the root, with mode 0700, when it is missing, and tries with a temporary file what the
    /// server can; a full one is no error there, because pruning needs an open store.
    ///
    /// # Errors
    /// `nfs.export`, `nfs.service`, `nfs.root_unusable`, `remote.unreachable`; `store.denied` or `store.read_only` when it cannot be
    /// written.
    ///
    /// # Cancel safety
    /// May be dropped; a directory or a temporary file that it made stays.
    pub async fn open(cx: &JobContext, config: &NfsConfig, options: &OpenOptions) -> Result<Self> {
        config.check()?;
        let mut limits = config.requests.clone();
        // So a call that got its place never waits for a connection within its time limit.
        limits.parallel = limits.parallel.min(config.connections);
        let connections = limits.parallel;
        let calls = Calls::observed(format!("nfs://{}", config.server), limits, options.observer.clone());
        let session = Session::new(calls, Target::new(config));
        let opened = async {
            let mut tree = Tree::open(cx, session, config, !options.read_only).await?;
            if !options.read_only {
                tree.links &= probe::links(cx, &tree).await?;
            }
            let names = config.export.split('/').filter(|name| !name.is_empty()).chain(config.path_of_root());
            let directory = names.fold(String::new(), |path, name| path + "/" + name);
            Ok(Self { tree: Arc::new(tree), connections, directory })
        };
        opened.await.context(|| format!("opening the store at {config}"))
    }
}

/// Names that clients of the kernel make are not listed, so no object may have one.
fn usable(key: &ObjectKey) -> Result<KeyPath> {
    match key.as_str().split('/').any(|name| is_silly(name.as_bytes())) {
        true => {
            let text = format!("`{key}` has a name that NFS clients give to removed files; choose another one");
            Err(Error::new(&core_codes::INPUT_INVALID, text))
        }
        false => Ok(KeyPath::new(key)),
    }
}

#[async_trait]
impl Store for NfsStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().conditional_create(self.tree.links)
    }

    fn writer_memory(&self, _size_hint: Option<u64>) -> u64 {
        writer::memory(&self.tree, self.connections)
    }

    async fn put(&self, cx: &JobContext, key: &ObjectKey, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        cx.check()?;
        let key = usable(key)?;
        if options.if_absent {
            publish::refuse_taken(cx, &self.tree, &key).await?;
        }
        NfsWriter::for_put(Arc::clone(&self.tree), cx, key, options.if_absent).await?.put(body).await
    }

    async fn writer(&self, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        cx.check()?;
        Ok(Box::new(NfsWriter::open(Arc::clone(&self.tree), cx, usable(key)?, options).await?))
    }

    async fn read(&self, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
        cx.check()?;
        read::read(Arc::clone(&self.tree), cx, KeyPath::new(key), options).await
    }

    async fn head(&self, cx: &JobContext, key: &ObjectKey) -> Result<ObjectMeta> {
        cx.check()?;
        read::head(&self.tree, cx, &KeyPath::new(key)).await
    }

    fn list(&self, cx: &JobContext, prefix: &KeyPrefix, options: ListOptions) -> BoxStream<'static, Result<ObjectMeta>> {
        list::list(Arc::clone(&self.tree), cx.clone(), prefix.clone(), options.start_after)
    }

    async fn delete(&self, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport> {
        cx.check()?;
        Ok(delete::delete(&self.tree, cx, keys).await)
    }

    async fn sweep(&self, cx: &JobContext, options: SweepOptions) -> Result<SweepReport> {
        cx.check()?;
        sweep::sweep(&self.tree, cx, &options).await
    }

    /// The directory on the server.
    fn native_place(&self, prefix: &KeyPrefix) -> Option<NativePlace> {
        let directory = format!("{}/{prefix}", self.directory);
        Some(NativePlace::new("nfs", directory.trim_end_matches('/'), ""))
    }

    /// `None`: a program needs a mount, and where that is nobody knows here.
    fn external_location(&self, _prefix: &KeyPrefix) -> Option<ExternalLocation> {
        None
    }
}
