//! Reading a directory, whole.

use backup_core::JobContext;
use futures::{StreamExt, TryStreamExt, stream};

use super::tree::Tree;
use super::wire::{Attr, Fault, Handle, Page, Status};
use crate::files::is_silly;

/// How often a directory is read again from its start, when the server does not go on because it changed meanwhile.
const RESTARTS: usize = 16;
/// How many of them ask for attributes too; names alone fit on fewer pages.
const WITH_ATTRIBUTES: usize = 4;
/// How many names are looked up at the same time.
const LOOKUPS: usize = 8;

/// What stands in the directory `path`: names, and what they are. Left out are `.`, `..`, names that are gone already, and what
/// clients of the kernel keep of files that were removed while somebody had them open.
pub(super) async fn read(cx: &JobContext, tree: &Tree, path: &str) -> Result<Vec<(Vec<u8>, Attr)>, Fault> {
    tree.in_dir(cx, path, |dir| async move {
        let names = names(cx, tree, &dir).await?;
        let looked_up = stream::iter(names).map(|(name, attr)| {
            let dir = &dir;
            async move {
                let attr = match (attr, std::str::from_utf8(&name)) {
                    (Some(attr), _) => attr,
                    // No key leads to it, so nobody asks what it is.
                    (None, Err(_)) => return Ok(None),
                    (None, Ok(text)) => match tree.session.lookup(cx, dir, text).await {
                        Ok(found) => found.attr,
                        Err(fault) if fault.is_missing() => return Ok(None),
                        Err(fault) => return Err(fault),
                    },
                };
                Ok(Some((name, attr)))
            }
        });
        looked_up.buffered(LOOKUPS).try_filter_map(|entry| async move { Ok(entry) }).try_collect().await
    })
    .await
}

/// Whether it is the name of something in the directory. A server that sends a path as a name means no good.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.contains(&b'/')
}

async fn names(cx: &JobContext, tree: &Tree, dir: &Handle) -> Result<Vec<(Vec<u8>, Option<Attr>)>, Fault> {
    let mut last = Fault::Status(Status::NFS3ERR_BAD_COOKIE);
    for restart in 0..RESTARTS {
        match pages(cx, tree, dir, restart < WITH_ATTRIBUTES).await {
            Err(fault) if fault.is(Status::NFS3ERR_BAD_COOKIE) => last = fault,
            result => return result,
        }
    }
    Err(last)
}

async fn pages(cx: &JobContext, tree: &Tree, dir: &Handle, mut attributes: bool) -> Result<Vec<(Vec<u8>, Option<Attr>)>, Fault> {
    let mut names = Vec::new();
    let (mut cookie, mut verifier) = (0, Default::default());
    loop {
        let read = match attributes {
            true => tree.session.page_plus(cx, dir, cookie, verifier).await,
            false => tree.session.page(cx, dir, cookie, verifier).await,
        };
        let page: Page = match read {
            // The two count their cookies in the same way, but only at the start nothing depends on it.
            Err(fault)
                if attributes && cookie == 0 && (fault.is(Status::NFS3ERR_NOTSUPP) || fault.is(Status::NFS3ERR_TOOSMALL)) =>
            {
                attributes = false;
                continue;
            }
            read => read?,
        };
        let stuck = page.cookie == cookie;
        (cookie, verifier) = (page.cookie, page.verifier);
        names.extend(page.entries.into_iter().filter(|(name, _)| is_name(name) && !is_silly(name)));
        if page.end {
            return Ok(names);
        }
        if stuck {
            // It neither ends nor goes on.
            return Err(Fault::Status(Status::NFS3ERR_BAD_COOKIE));
        }
    }
}
