//! An open file: a handle that is looked up again when the server forgot it.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use backup_core::JobContext;

use super::tree::Tree;
use super::wire::{Fault, FileId, Found, Handle, Kind, Status};

/// A file that was found or made under a name.
#[derive(Debug)]
pub(super) struct File {
    dir: String,
    name: String,
    id: FileId,
    handle: Mutex<Handle>,
}

impl File {
    pub(super) fn new(dir: &str, name: &str, found: &Found) -> Self {
        Self { dir: dir.to_owned(), name: name.to_owned(), id: found.attr.id, handle: Mutex::new(found.handle.clone()) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn dir(&self) -> &str {
        &self.dir
    }

    /// What tells it from other files.
    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// Its path below the root.
    pub(super) fn path(&self) -> String {
        format!("{}{}{}", self.dir, if self.dir.is_empty() { "" } else { "/" }, self.name)
    }

    /// Does `work` with the handle. When it is stale, the name is looked up again from the root, once; another file there is not this
    /// one.
    pub(super) async fn with<T, F>(&self, cx: &JobContext, tree: &Tree, work: impl Fn(Handle) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let handle = self.handle();
        match work(handle.clone()).await {
            Err(fault) if fault.is_stale() => {}
            result => return result,
        }
        // A task beside this one may have done it already.
        if self.handle() == handle {
            tree.forget();
            let found = tree.in_dir(cx, &self.dir, |dir| async move { tree.session.lookup(cx, &dir, &self.name).await }).await?;
            if found.attr.id.number != self.id.number || found.attr.kind != Kind::File {
                return Err(Fault::Status(Status::NFS3ERR_STALE));
            }
            *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = found.handle;
        }
        work(self.handle()).await
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
