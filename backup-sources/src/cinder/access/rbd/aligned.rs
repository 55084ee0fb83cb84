//! Whether what changed between two snapshots begins and ends at borders of blocks: asked of `rbd diff`, which reads no data.

use backup_core::{JobContext, Result};
use serde::Deserialize;

use super::diff::aligned;
use super::{RbdAccess, finish, start};
use crate::cinder::access::items::Items;
use crate::cinder::access::program::{Pipe, cause};
use crate::process::Group;

#[derive(Debug, Deserialize)]
struct Changed {
    offset: u64,
    length: u64,
}

/// The list may be long, and is not held; it is left at the first extent that does not fit.
pub(super) async fn all(rbd: &RbdAccess, cx: &JobContext, spec: &str, since: &str, block: u64, size: u64) -> Result<bool> {
    let argv = rbd.argv(&["diff", "--format", "json", "--from-snap", since, spec])?;
    let mut group = start(cx, &argv, Pipe::Output)?;
    let fit = look(cx, &mut group, block, size).await;
    group.kill().await;
    fit.map_err(|error| error.context(format!("asking what changed in {spec} since {since}")))
}

async fn look(cx: &JobContext, group: &mut Group, block: u64, size: u64) -> Result<bool> {
    let mut items = Items::<_, Changed>::new(group.take_stdout()?);
    let look = async {
        while let Some(Changed { offset, length }) = items.next().await? {
            if !offset.checked_add(length).is_some_and(|end| aligned(offset, end, block, size)) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    match cx.run(look).await {
        Ok(false) => Ok(false),
        Ok(true) => finish(cx, group).await.map(|()| true),
        Err(error) => Err(cause(cx, group, error).await),
    }
}
