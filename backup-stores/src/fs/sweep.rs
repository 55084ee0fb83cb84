//! Removing what writers that died left behind.

use std::os::fd::AsFd;

use backup_core::store::{SweepOptions, SweepReport};
use backup_core::{JobContext, Result};
use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::error::failed;
use super::tree::Tree;
use crate::files::Owner;
use crate::files::TMP_DIR;

pub(super) fn sweep(tree: &Tree, cx: &JobContext, options: &SweepOptions) -> Result<SweepReport> {
    let mut report = SweepReport::default();
    let dir = match tree.open_dir(TMP_DIR) {
        Ok(dir) => dir,
        Err(Errno::NOENT) => return Ok(report),
        Err(errno) => return Err(failed(errno, "opening", TMP_DIR)),
    };
    for entry in Dir::read_from(&dir).map_err(|errno| failed(errno, "listing", TMP_DIR))? {
        cx.check()?;
        let entry = entry.map_err(|errno| failed(errno, "listing", TMP_DIR))?;
        // Names that this store does not make are somebody else's.
        let Some((name, owner)) = entry.file_name().to_str().ok().and_then(|name| Some((name, Owner::of(name)?))) else {
            continue;
        };
        if matches!(&owner, Owner::Job(job) if options.keep.contains(job)) {
            continue;
        }
        let old = |modified| modified < options.older_than;
        let removed = match tree.ops.stat(dir.as_fd(), name) {
            Ok(stat) if stat.kind == FileType::RegularFile && stat.modified.is_some_and(old) => {
                tree.ops.unlink(dir.as_fd(), name)
            }
            Ok(_) => continue,
            Err(errno) => Err(errno),
        };
        match removed {
            Ok(()) => report.removed += 1,
            Err(Errno::NOENT) => {}
            Err(errno) => report.failed.push(failed(errno, "sweeping", &format!("{TMP_DIR}/{name}"))),
        }
    }
    Ok(report)
}
