//! Unfinished files in `.backup/tmp`.

use backup_core::{JobContext, Result};

use super::error::failed;
use super::file::File;
use super::tree::Tree;
use super::wire::Fault;
use crate::files::{Owner, TMP_DIR};

/// Makes an unfinished file. It is not removed on drop: that is what `sweep` is for.
pub(super) async fn create(cx: &JobContext, tree: &Tree, owner: &Owner) -> Result<File> {
    let name = owner.name(tree.next(), cx.environment().random.next_u64());
    let made = tree.in_new_dir(cx, TMP_DIR, |dir| {
        let name = &name;
        async move { tree.session.create(cx, &dir, name).await }
    });
    let found = made.await.map_err(|fault| failed(fault, "creating the temporary file", &format!("{TMP_DIR}/{name}")))?;
    Ok(File::new(TMP_DIR, &name, &found))
}

/// Removes an unfinished file; fine when it is gone already.
pub(super) async fn remove(cx: &JobContext, tree: &Tree, temp: &File) -> Result<()> {
    let removed = tree.in_dir(cx, temp.dir(), |dir| async move { tree.session.remove(cx, &dir, temp.name()).await });
    match removed.await {
        Err(fault) if !fault.is_missing() => Err(failed(fault, "removing (a later sweep does it again)", &temp.path())),
        _ => Ok(()),
    }
}

/// Removes it when that works, else leaves it to `sweep`: another error, or none, is on its way to the caller already.
pub(super) async fn discard(cx: &JobContext, tree: &Tree, temp: &File) {
    if let Err(error) = remove(cx, tree, temp).await {
        tracing::warn!(%error, "an unfinished file stays until the next sweep");
    }
}

/// Whether the file still has a name somewhere; `Err` when the server does not say.
pub(super) async fn is_there(cx: &JobContext, tree: &Tree, temp: &File) -> Result<bool, Fault> {
    match temp.with(cx, tree, |handle| async move { tree.session.attr(cx, &handle).await }).await {
        Ok(_) => Ok(true),
        Err(fault) if fault.is_stale() || fault.is_missing() => Ok(false),
        Err(fault) => Err(fault),
    }
}
