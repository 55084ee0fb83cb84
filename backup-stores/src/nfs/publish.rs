//! From a durable temporary file to an object: the one step that makes it visible.

use std::time::Duration;

use backup_core::error::codes;
use backup_core::{Effect, Error, JobContext, Result};

use super::error::{failed, symlink, taken};
use super::file::File;
use super::temp;
use super::tree::Tree;
use super::wire::{Fault, FileId, Kind, Status};
use crate::files::KeyPath;

/// How long it may take to find out what a call without an answer did.
const SETTLE: Duration = Duration::from_secs(20);

/// Gives `temp` the name `key`. A server answers only when the name is durable (RFC 1813, section 4.8).
///
/// An error with effect none leaves the temporary file to the caller. Whoever asked for a name and got no answer looks again; to be
/// sure that the server does not do it later, the temporary name goes first, for a file without a name gets none.
pub(super) async fn publish(cx: &JobContext, tree: &Tree, temp: &File, key: &KeyPath, if_absent: bool) -> Result<()> {
    let named = match if_absent {
        true if tree.links => name_new(cx, tree, temp, key).await,
        true => name_if_nobody_did(cx, tree, temp, key).await,
        false => replace(cx, tree, temp, key).await,
    };
    match named {
        Ok(()) => Ok(()),
        Err(fault) if fault.is_unknown() => settle(cx, tree, temp, key, if_absent, fault).await,
        Err(fault) => Err(failed(fault, "publishing", key.as_str())),
    }
}

/// After a call without an answer.
async fn settle(cx: &JobContext, tree: &Tree, temp: &File, key: &KeyPath, if_absent: bool, fault: Fault) -> Result<()> {
    let cx = &cx.for_cleanup(SETTLE);
    let error = failed(fault, "publishing", key.as_str());
    if temp::remove(cx, tree, temp).await.is_err() {
        return Err(error);
    }
    match look(cx, tree, key).await {
        Ok(Some((_, id))) if id == temp.id() => Ok(()),
        Ok(Some((kind, _))) if if_absent => Err(taken(kind, key.as_str())),
        Ok(_) => Err(error.with_effect(Effect::None)),
        Err(_) => Err(error),
    }
}

/// Create, never replace: a second link, then the first name goes.
async fn name_new(cx: &JobContext, tree: &Tree, temp: &File, key: &KeyPath) -> Result<(), Fault> {
    let link = |dir| async move {
        let (dir, name) = (&dir, key.name());
        match temp.with(cx, tree, |file| async move { tree.session.link(cx, &file, dir, name).await }).await {
            // An answer that was lost, or somebody else.
            Err(Fault::Status(Status::NFS3ERR_EXIST)) => match tree.session.lookup(cx, dir, name).await? {
                found if found.attr.id == temp.id() => Ok(()),
                found => Err(Fault::Error(taken(found.attr.kind, key.as_str()))),
            },
            result => unless_swept(cx, tree, temp, result).await,
        }
    };
    tree.in_new_dir(cx, key.dir(), link).await?;
    // A failure leaves a second name of a finished object, which nobody writes to; sweep removes it.
    temp::discard(&cx.for_cleanup(SETTLE), tree, temp).await;
    Ok(())
}

/// What is left where the server has no links: look, then rename. Of two writers at the same instant the later one wins; that is why
/// such a store does not claim conditional creation.
async fn name_if_nobody_did(cx: &JobContext, tree: &Tree, temp: &File, key: &KeyPath) -> Result<(), Fault> {
    match look(cx, tree, key).await? {
        Some((kind, _)) => Err(Fault::Error(taken(kind, key.as_str()))),
        None => rename(cx, tree, temp, key).await,
    }
}

async fn replace(cx: &JobContext, tree: &Tree, temp: &File, key: &KeyPath) -> Result<(), Fault> {
    match look(cx, tree, key).await? {
        Some((Kind::File, _)) | None => rename(cx, tree, temp, key).await,
        Some((Kind::Symlink, _)) => Err(Fault::Error(symlink(key.as_str()))),
        Some((kind, _)) => Err(Fault::Error(taken(kind, key.as_str()))),
    }
}

async fn rename(cx: &JobContext, tree: &Tree, temp: &File, key: &KeyPath) -> Result<(), Fault> {
    let to = |to| async move {
        let (to, name) = (&to, key.name());
        let from = |from| async move { tree.session.rename(cx, (&from, temp.name()), (to, name)).await };
        match tree.in_dir(cx, temp.dir(), from).await {
            Err(Fault::Status(Status::NFS3ERR_NOENT)) => match tree.session.lookup(cx, to, name).await {
                // An answer that was lost.
                Ok(found) if found.attr.id == temp.id() => Ok(()),
                _ => unless_swept(cx, tree, temp, Err(Fault::Status(Status::NFS3ERR_NOENT))).await,
            },
            result => result,
        }
    };
    tree.in_new_dir(cx, key.dir(), to).await
}

/// Tells the directory that is gone, which is made again, from the temporary file that is gone.
async fn unless_swept(cx: &JobContext, tree: &Tree, temp: &File, result: Result<(), Fault>) -> Result<(), Fault> {
    match result {
        Err(fault) if (fault.is_stale() || fault.is_missing()) && !temp::is_there(cx, tree, temp).await? => {
            let text = format!("`{}` was removed while it was being written; was it swept too early?", temp.path());
            Err(Fault::Error(Error::new(&codes::STORE_IO, text)))
        }
        result => result,
    }
}

/// What stands at the key.
async fn look(cx: &JobContext, tree: &Tree, key: &KeyPath) -> Result<Option<(Kind, FileId)>, Fault> {
    let found = tree.in_dir(cx, key.dir(), |dir| async move { tree.session.lookup(cx, &dir, key.name()).await }).await;
    match found {
        Ok(found) => Ok(Some((found.attr.kind, found.attr.id))),
        Err(fault) if fault.is_missing() => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Refuses early what `publish` would refuse late: saves the writing, decides nothing.
pub(super) async fn refuse_taken(cx: &JobContext, tree: &Tree, key: &KeyPath) -> Result<()> {
    match look(cx, tree, key).await {
        Ok(Some((kind, _))) => Err(taken(kind, key.as_str())),
        Ok(None) => Ok(()),
        Err(fault) => Err(failed(fault, "looking at", key.as_str())),
    }
}
