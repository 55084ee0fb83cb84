//! Removing what writers that died left behind.

use backup_core::store::{SweepOptions, SweepReport};
use backup_core::{JobContext, Result};

use super::dir;
use super::error::failed;
use super::tree::Tree;
use super::wire::Kind;
use crate::files::{Owner, TMP_DIR};

pub(super) async fn sweep(tree: &Tree, cx: &JobContext, options: &SweepOptions) -> Result<SweepReport> {
    let mut report = SweepReport::default();
    let entries = match dir::read(cx, tree, TMP_DIR).await {
        Ok(entries) => entries,
        Err(fault) if fault.is_missing() => return Ok(report),
        Err(fault) => return Err(failed(fault, "listing", TMP_DIR)),
    };
    for (name, attr) in entries {
        cx.check()?;
        // Names that no store makes are somebody else's.
        let Some((name, owner)) = std::str::from_utf8(&name).ok().and_then(|name| Some((name, Owner::of(name)?))) else {
            continue;
        };
        let kept = matches!(&owner, Owner::Job(job) if options.keep.contains(job));
        let old = attr.modified.is_some_and(|modified| modified < options.older_than);
        if kept || !old || attr.kind != Kind::File {
            continue;
        }
        match tree.in_dir(cx, TMP_DIR, |dir| async move { tree.session.remove(cx, &dir, name).await }).await {
            Ok(()) => report.removed += 1,
            Err(fault) if fault.is_missing() => {}
            Err(fault) => report.failed.push(failed(fault, "sweeping", &format!("{TMP_DIR}/{name}"))),
        }
    }
    Ok(report)
}
