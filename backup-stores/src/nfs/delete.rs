//! Removing objects, and the directories that they leave empty.

use std::collections::BTreeMap;

use backup_core::store::DeleteReport;
use backup_core::{Error, JobContext, ObjectKey};
use futures::{StreamExt, stream};

use super::error::{failed, symlink};
use super::tree::Tree;
use super::wire::{Fault, Kind};
use crate::files::{KeyPath, split};

/// How many objects of a directory are removed at the same time.
const PARALLEL: usize = 8;

/// Children before their parents. An empty directory is removed by RMDIR, which the server refuses as soon as something is in it; a
/// writer that loses this race makes the directory again.
pub(super) async fn delete(tree: &Tree, cx: &JobContext, keys: &[ObjectKey]) -> DeleteReport {
    let mut report = DeleteReport::default();
    let mut dirs: BTreeMap<String, Vec<KeyPath>> = BTreeMap::new();
    for key in keys {
        let path = KeyPath::new(key);
        dirs.entry(path.dir().to_owned()).or_default().push(path);
    }
    while let Some((dir, keys)) = dirs.pop_last() {
        // A directory without keys lost one of its own.
        let mut changed = keys.is_empty();
        let removals = stream::iter(keys).map(|key| async move {
            let removed = remove(tree, cx, &key).await;
            (key, removed)
        });
        let mut removals = std::pin::pin!(removals.buffer_unordered(PARALLEL));
        while let Some((key, removed)) = removals.next().await {
            changed |= matches!(removed, Ok(true));
            match removed {
                Ok(true) => report.deleted.push(key.key().clone()),
                Ok(false) => report.missing.push(key.key().clone()),
                Err(error) => report.failed.push((key.key().clone(), error)),
            }
        }
        if changed && !dir.is_empty() && remove_empty(tree, cx, &dir).await {
            dirs.entry(split(&dir).0.to_owned()).or_default();
        }
    }
    report
}

async fn remove(tree: &Tree, cx: &JobContext, key: &KeyPath) -> Result<bool, Error> {
    cx.check()?;
    let removed = tree.in_dir(cx, key.dir(), |dir| async move {
        match tree.session.lookup(cx, &dir, key.name()).await?.attr.kind {
            Kind::File => tree.session.remove(cx, &dir, key.name()).await.map(|()| true),
            Kind::Symlink => Err(Fault::Error(symlink(key.as_str()))),
            Kind::Directory | Kind::Other => Ok(false),
        }
    });
    match removed.await {
        Err(fault) if fault.is_missing() => Ok(false),
        removed => removed.map_err(|fault| failed(fault, "removing", key.as_str())),
    }
}

/// True when the directory was empty and is gone now. Any failure leaves it: an empty directory harms nobody.
async fn remove_empty(tree: &Tree, cx: &JobContext, path: &str) -> bool {
    let (above, name) = split(path);
    let removed = tree.in_dir(cx, above, |dir| async move { tree.session.remove_dir(cx, &dir, name).await }).await.is_ok();
    if removed {
        tree.forget();
    }
    removed
}
