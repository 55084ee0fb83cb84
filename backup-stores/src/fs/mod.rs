#![doc = include_str!("docs.md")]

pub mod codes;
mod config;
mod delete;
mod error;
mod list;
mod mount;
mod ops;
mod publish;
mod put;
mod read;
mod sweep;
mod task;
mod temp;
#[cfg(test)]
mod tests;
mod tree;
mod writer;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::AsFd;
use std::sync::Arc;

use backup_core::store::{
    Capabilities, DeleteReport, ExternalLocation, ListOptions, NativePlace, ObjectRead, PutOptions, ReadOptions, SweepOptions,
    SweepReport, WriteOptions,
};
use backup_core::{
    Bytes, ErrorKind, JobContext, KeyPrefix, ObjectKey, ObjectMeta, ObjectWriter, Result, ResultExt, Store, async_trait,
};
use futures::stream::BoxStream;

pub use config::{FsConfig, RequiredMount};
use mount::Mount;
use ops::{FsOps, RealOps};
use temp::Temp;
use tree::{Tree, open_root};

use crate::files::{KeyPath, Owner};

/// A directory of a local file system as a [`Store`]. Cheap to clone; see the [module](self) for what it promises.
#[derive(Debug, Clone)]
pub struct FsStore {
    tree: Arc<Tree>,
}

impl FsStore {
    /// Opens the store for reading and writing; makes the root, with mode 0700 and durable, when it is missing.
    ///
    /// Blocks for a few system calls. A full disk is no error here, because pruning needs an open store.
    ///
    /// # Errors
    /// `fs.root_unusable` when the root is no directory; `store.denied` or `store.read_only` when it cannot be written;
    /// `fs.not_mounted` when it does not lie on what [`FsConfig::require_mount`] asks for, before anything is made there.
    pub fn open(config: FsConfig) -> Result<Self> {
        let store = Self::open_with(&config, true, |root| Arc::new(RealOps::probe(root)))?;
        store.check_writable().context(|| format!("opening the file store at `{}`", store.tree.path.display()))?;
        Ok(store)
    }

    /// Opens an existing store, for reading: makes and checks nothing, so it works on a read-only mount. Writing to it
    /// fails as the file system says.
    ///
    /// # Errors
    /// `fs.root_unusable` when the root is no directory, or not there; `fs.not_mounted` as [`FsStore::open`].
    pub fn open_read_only(config: FsConfig) -> Result<Self> {
        Self::open_with(&config, false, |root| Arc::new(RealOps::probe(root)))
    }

    fn open_with(
        config: &FsConfig,
        create: bool,
        ops: impl FnOnce(std::os::fd::BorrowedFd<'_>) -> Arc<dyn FsOps>,
    ) -> Result<Self> {
        let required = config.require_mount.as_ref();
        let (path, root) = open_root(&config.root, create, required)?;
        let mount = required.map(|required| Mount::of(&path, root.as_fd(), required)).transpose()?;
        let ops = ops(root.as_fd());
        Ok(Self { tree: Arc::new(Tree::new(path, root, mount, ops)) })
    }

    fn check_writable(&self) -> Result<()> {
        let random = RandomState::new().build_hasher().finish();
        match Temp::create(&self.tree, random, &Owner::Put).and_then(|temp| temp.remove(&self.tree)) {
            Err(error) if error.kind() == ErrorKind::NoSpace && error.code().name == "store.no_space" => {
                tracing::warn!(%error, "the file store is full; backups will fail until something is removed");
                Ok(())
            }
            result => result,
        }
    }
}

#[async_trait]
impl Store for FsStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().conditional_create(true)
    }

    fn writer_memory(&self, _size_hint: Option<u64>) -> u64 {
        writer::MEMORY
    }

    async fn put(&self, cx: &JobContext, key: &ObjectKey, body: Bytes, options: PutOptions) -> Result<ObjectMeta> {
        let (tree, key, its_cx) = (Arc::clone(&self.tree), KeyPath::new(key), cx.clone());
        task::change(cx, move || put::put(&tree, &its_cx, &key, &body, options.if_absent)).await
    }

    async fn writer(&self, cx: &JobContext, key: &ObjectKey, options: WriteOptions) -> Result<Box<dyn ObjectWriter>> {
        let writer = writer::FsWriter::open(Arc::clone(&self.tree), cx, KeyPath::new(key), options).await?;
        Ok(Box::new(writer))
    }

    async fn read(&self, cx: &JobContext, key: &ObjectKey, options: ReadOptions) -> Result<ObjectRead> {
        read::read(Arc::clone(&self.tree), cx, KeyPath::new(key), options).await
    }

    async fn head(&self, cx: &JobContext, key: &ObjectKey) -> Result<ObjectMeta> {
        let (tree, key) = (Arc::clone(&self.tree), KeyPath::new(key));
        task::look(cx, move || read::head(&tree, &key)).await
    }

    fn list(&self, cx: &JobContext, prefix: &KeyPrefix, options: ListOptions) -> BoxStream<'static, Result<ObjectMeta>> {
        list::list(Arc::clone(&self.tree), cx.clone(), prefix.clone(), options.start_after)
    }

    async fn delete(&self, cx: &JobContext, keys: &[ObjectKey]) -> Result<DeleteReport> {
        let (tree, its_cx, keys) = (Arc::clone(&self.tree), cx.clone(), keys.to_vec());
        let delete = move || {
            tree.check_mount()?;
            Ok(delete::delete(&tree, &its_cx, &keys))
        };
        task::change(cx, delete).await
    }

    async fn sweep(&self, cx: &JobContext, options: SweepOptions) -> Result<SweepReport> {
        let (tree, its_cx) = (Arc::clone(&self.tree), cx.clone());
        let sweep = move || {
            tree.check_mount()?;
            sweep::sweep(&tree, &its_cx, &options)
        };
        task::change(cx, sweep).await
    }

    fn native_place(&self, prefix: &KeyPrefix) -> Option<NativePlace> {
        let path = self.tree.path.join(prefix.as_str().trim_end_matches('/'));
        // Joined to nothing, a path ends in a slash.
        Some(NativePlace::new("file", path.to_str()?.trim_end_matches('/'), ""))
    }

    /// `file://` and the absolute path, not escaped; `None` when the root's path is no UTF-8.
    fn external_location(&self, prefix: &KeyPrefix) -> Option<ExternalLocation> {
        let path = self.tree.path.join(prefix.as_str());
        Some(ExternalLocation::new(format!("file://{}", path.to_str()?)))
    }
}
