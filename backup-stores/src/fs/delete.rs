//! Removing objects, and the directories that they leave empty.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use backup_core::store::DeleteReport;
use backup_core::{Effect, Error, JobContext, ObjectKey};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::error::{failed, symlink};
use super::tree::Tree;
use crate::files::{KeyPath, shown, split};

/// What is left to do in one directory.
#[derive(Default)]
struct Work {
    unlink: Vec<KeyPath>,
    /// Removed, but only durable when this directory is synced.
    unsynced: Vec<ObjectKey>,
    /// A directory below was removed.
    changed: bool,
}

/// Children before their parents, each directory opened, and synced, once. An empty directory is removed by `rmdir`, which
/// the kernel refuses as soon as something is in it; a writer that loses this race makes the directory again.
pub(super) fn delete(tree: &Tree, cx: &JobContext, keys: &[ObjectKey]) -> DeleteReport {
    let mut report = DeleteReport::default();
    let mut dirs: BTreeMap<String, Work> = BTreeMap::new();
    for key in keys {
        let path = KeyPath::new(key);
        dirs.entry(path.dir().to_owned()).or_default().unlink.push(path);
    }
    while let Some((path, mut work)) = dirs.pop_last() {
        let dir = match tree.open_dir(&path) {
            Ok(dir) => dir,
            Err(errno) => {
                not_opened(&mut report, work, errno, &path, &mut dirs);
                continue;
            }
        };
        for key in std::mem::take(&mut work.unlink) {
            match cx.check().and_then(|()| unlink(tree, &dir, &key)) {
                Ok(true) => work.unsynced.push(key.key().clone()),
                Ok(false) => report.missing.push(key.key().clone()),
                Err(error) => report.failed.push((key.key().clone(), error)),
            }
        }
        if remove_empty(tree, &path) {
            let above = dirs.entry(split(&path).0.to_owned()).or_default();
            above.unsynced.append(&mut work.unsynced);
            above.changed = true;
        } else if work.changed || !work.unsynced.is_empty() {
            match tree.ops.sync_dir(dir.as_fd()) {
                Ok(()) => report.deleted.append(&mut work.unsynced),
                Err(errno) => report.failed.extend(work.unsynced.into_iter().map(|key| (key, not_durable(errno, &path)))),
            }
        }
    }
    report
}

fn unlink(tree: &Tree, dir: &OwnedFd, key: &KeyPath) -> Result<bool, Error> {
    match tree.ops.stat(dir.as_fd(), key.name()) {
        Ok(stat) if stat.kind == FileType::Symlink => return Err(symlink(key.as_str())),
        Ok(stat) if stat.kind != FileType::RegularFile => return Ok(false),
        Ok(_) => {}
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(failed(errno, "looking at", key.as_str())),
    }
    match tree.ops.unlink(dir.as_fd(), key.name()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(failed(errno, "removing", key.as_str())),
    }
}

/// A directory that is gone holds nothing; what was removed below it is durable when the one above is synced.
fn not_opened(report: &mut DeleteReport, work: Work, errno: Errno, path: &str, dirs: &mut BTreeMap<String, Work>) {
    let gone = matches!(errno, Errno::NOENT | Errno::NOTDIR);
    for key in work.unlink {
        match gone {
            true => report.missing.push(key.key().clone()),
            false => report.failed.push((key.key().clone(), failed(errno, "opening the directory of", key.as_str()))),
        }
    }
    if work.unsynced.is_empty() {
    } else if gone && !path.is_empty() {
        dirs.entry(split(path).0.to_owned()).or_default().unsynced.extend(work.unsynced);
    } else {
        report.failed.extend(work.unsynced.into_iter().map(|key| (key, not_durable(errno, path))));
    }
}

/// True when the directory was empty and is gone now. Any failure leaves it: an empty directory harms nobody.
fn remove_empty(tree: &Tree, path: &str) -> bool {
    if path.is_empty() {
        return false;
    }
    let (above, name) = split(path);
    let removed = tree.open_dir(above).and_then(|dir| tree.ops.remove_dir(dir.as_fd(), name)).is_ok();
    if removed {
        tree.forget_all();
    }
    removed
}

fn not_durable(errno: Errno, path: &str) -> Error {
    failed(errno, "making removals durable in", shown(path)).with_effect(Effect::Unknown)
}
