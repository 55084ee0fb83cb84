//! What is tried when a store is opened for writing.

use backup_core::{ErrorKind, JobContext, Result};

use super::error::failed;
use super::temp;
use super::tree::Tree;
use super::wire::{Fault, Status};
use crate::files::{Owner, TMP_DIR};

/// Writes nothing but two names of an empty temporary file, and removes them: whether the server gives a second name is whether
/// publishing is exclusive here. A full server cannot tell, and its own word is taken.
pub(super) async fn links(cx: &JobContext, tree: &Tree) -> Result<bool> {
    let file = match temp::create(cx, tree, &Owner::Put).await {
        Err(error) if error.kind() == ErrorKind::NoSpace && error.code().name == "store.no_space" => {
            tracing::warn!(%error, "the nfs store is full; backups will fail until something is removed");
            return Ok(tree.links);
        }
        file => file?,
    };
    let second = Owner::Put.name(tree.next(), cx.environment().random.next_u64());
    let linked = tree.in_dir(cx, TMP_DIR, |dir| {
        let (file, second) = (&file, &second);
        async move { tree.session.link(cx, &file.handle(), &dir, second).await }
    });
    let links = match linked.await {
        Ok(()) => {
            let removed = tree.in_dir(cx, TMP_DIR, |dir| {
                let second = &second;
                async move { tree.session.remove(cx, &dir, second).await }
            });
            removed.await.map_err(|fault| failed(fault, "removing", &format!("{TMP_DIR}/{second}")))?;
            true
        }
        Err(Fault::Status(Status::NFS3ERR_NOSPC | Status::NFS3ERR_DQUOT)) => tree.links,
        Err(Fault::Status(_)) => {
            tracing::warn!("this server has no hard links: of two writers of one object at the same instant the later one wins");
            false
        }
        Err(fault) => return Err(failed(fault, "linking in", TMP_DIR)),
    };
    temp::remove(cx, tree, &file).await?;
    Ok(links)
}
