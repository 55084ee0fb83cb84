//! A directory tree as it was, and whether another one is equal to it.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use backup_core::error::codes;
use backup_core::{Error, JobContext};

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Directory,
    File(u64),
    Link(PathBuf),
    Special,
}

#[derive(Debug, Clone)]
struct Entry {
    kind: Kind,
    mode: u32,
    modified: Option<SystemTime>,
}

/// Everything below a directory, by its path from there.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    entries: BTreeMap<PathBuf, Entry>,
}

/// How many of what a tree holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) files: usize,
    pub(super) directories: usize,
    pub(super) links: usize,
    pub(super) bytes: u64,
}

impl Tree {
    /// Reads a tree, leaving out the paths in `without` (relative to it) and sockets, which no archive keeps.
    pub(super) fn read(root: &Path, without: &[PathBuf], cx: &JobContext) -> backup_core::Result<Self> {
        let mut entries = BTreeMap::new();
        let mut pending = vec![PathBuf::new()];
        while let Some(path) = pending.pop() {
            cx.check()?;
            let full = root.join(&path);
            let Some(entry) = entry(&full).map_err(unreadable(&full))? else { continue };
            if entry.kind == Kind::Directory {
                for child in fs::read_dir(&full).map_err(unreadable(&full))? {
                    let child = path.join(child.map_err(unreadable(&full))?.file_name());
                    if !without.contains(&child) {
                        pending.push(child);
                    }
                }
            }
            entries.insert(path, entry);
        }
        Ok(Self { root: root.to_owned(), entries })
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in self.entries.values() {
            match entry.kind {
                Kind::Directory => counts.directories += 1,
                Kind::File(size) => (counts.files, counts.bytes) = (counts.files + 1, counts.bytes.saturating_add(size)),
                Kind::Link(_) => counts.links += 1,
                Kind::Special => {}
            }
        }
        counts
    }

    /// About how many bytes a tar of it has: a header each, and contents filled up to whole blocks.
    pub(super) fn tar_size(&self) -> u64 {
        let blocks = |entry: &Entry| match entry.kind {
            Kind::File(size) => size.div_ceil(512).saturating_add(1),
            _ => 1,
        };
        self.entries.values().map(|entry| blocks(entry).saturating_mul(512)).sum()
    }

    /// In which paths `copy` differs from this tree as it is on disk: names, kinds, sizes, modes, links and every byte.
    pub(super) fn differences(&self, copy: &Path, cx: &JobContext) -> backup_core::Result<Vec<String>> {
        let mut differences = Vec::new();
        let copied = Tree::read(copy, &[], cx)?;
        cx.progress().expect(self.counts().bytes);
        for path in self.entries.keys().chain(copied.entries.keys().filter(|path| !self.entries.contains_key(*path))) {
            cx.check()?;
            if let Some(difference) = self.difference(path, &copied, cx)? {
                differences.push(format!("{}: {difference}", Path::new(".").join(path).display()));
            }
        }
        Ok(differences)
    }

    fn difference(&self, path: &Path, copied: &Tree, cx: &JobContext) -> backup_core::Result<Option<String>> {
        let (Some(ours), Some(theirs)) = (self.entries.get(path), copied.entries.get(path)) else {
            let missing = self.entries.contains_key(path);
            return Ok(Some(if missing { "was not restored" } else { "was not there before" }.to_owned()));
        };
        if ours.kind != theirs.kind {
            return Ok(Some(self.or_changed(path, ours, format!("{:?} came back as {:?}", ours.kind, theirs.kind))));
        }
        if ours.mode != theirs.mode {
            return Ok(Some(self.or_changed(path, ours, format!("mode {:o} came back as {:o}", ours.mode, theirs.mode))));
        }
        if let Kind::File(_) = ours.kind {
            let (original, copy) = (self.root.join(path), copied.root.join(path));
            // An original that is gone by now was changed, too.
            let equal = original.exists() && same_bytes(&original, &copy, cx)?;
            if !equal {
                return Ok(Some(self.or_changed(path, ours, "other contents".to_owned())));
            }
        }
        Ok(None)
    }

    /// A file that somebody wrote to in between differs for another reason.
    fn or_changed(&self, path: &Path, before: &Entry, difference: String) -> String {
        match entry(&self.root.join(path)) {
            Ok(Some(now)) if now.modified == before.modified && now.kind == before.kind => difference,
            _ => "was changed while quickstart ran".to_owned(),
        }
    }
}

fn entry(path: &Path) -> io::Result<Option<Entry>> {
    let metadata: Metadata = fs::symlink_metadata(path)?;
    let kind = metadata.file_type();
    let kind = if kind.is_dir() {
        Kind::Directory
    } else if kind.is_file() {
        Kind::File(metadata.len())
    } else if kind.is_symlink() {
        Kind::Link(fs::read_link(path)?)
    } else if kind.is_socket() {
        return Ok(None);
    } else {
        Kind::Special
    };
    let mode = if matches!(kind, Kind::Link(_)) { 0 } else { metadata.mode() & 0o7777 };
    Ok(Some(Entry { kind, mode, modified: metadata.modified().ok() }))
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| Error::new(&codes::SOURCE_FAILED, format!("{} cannot be read", path.display())).with_source(error)
}

fn same_bytes(original: &Path, copy: &Path, cx: &JobContext) -> backup_core::Result<bool> {
    const PIECE: u64 = 1 << 20;
    let (mut a, mut b) = (File::open(original).map_err(unreadable(original))?, File::open(copy).map_err(unreadable(copy))?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    loop {
        cx.check()?;
        ours.clear();
        theirs.clear();
        a.by_ref().take(PIECE).read_to_end(&mut ours).map_err(unreadable(original))?;
        b.by_ref().take(PIECE).read_to_end(&mut theirs).map_err(unreadable(copy))?;
        if ours != theirs || ours.is_empty() {
            return Ok(ours == theirs);
        }
        cx.progress().add(ours.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::Arc;

    use backup_core::Environment;
    use backup_core::event::TracingObserver;

    use super::*;

    fn context() -> JobContext {
        JobContext::new(Environment::default(), Arc::new(TracingObserver))
    }

    fn plant(root: &Path) {
        fs::create_dir_all(root.join("inner")).unwrap();
        fs::write(root.join("inner/file"), b"four").unwrap();
        symlink("file", root.join("inner/link")).unwrap();
    }

    /// The differences between two equal trees after `change` was done to the copy.
    fn after(change: impl Fn(&Path)) -> Vec<String> {
        let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        plant(original.path());
        plant(copy.path());
        change(copy.path());
        Tree::read(original.path(), &[], &context()).unwrap().differences(copy.path(), &context()).unwrap()
    }

    #[test]
    fn equal_trees_have_no_differences() {
        assert_eq!(after(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let one = |change: &dyn Fn(&Path), expected: &str| {
            let found = after(change);
            assert!(matches!(&found[..], [only] if only.contains(expected)), "{expected}: {found:?}");
        };
        one(&|copy| fs::write(copy.join("inner/file"), b"fOur").unwrap(), "./inner/file: other contents");
        one(&|copy| fs::write(copy.join("inner/file"), b"fours").unwrap(), "File(4) came back as File(5)");
        one(&|copy| fs::remove_file(copy.join("inner/file")).unwrap(), "./inner/file: was not restored");
        one(&|copy| fs::write(copy.join("more"), b"").unwrap(), "./more: was not there before");
        one(&|copy| fs::set_permissions(copy.join("inner"), Permissions::from_mode(0o750)).unwrap(), "came back as 750");
        one(
            &|copy| {
                fs::remove_file(copy.join("inner/link")).unwrap();
                symlink("elsewhere", copy.join("inner/link")).unwrap();
            },
            "./inner/link",
        );
    }

    #[test]
    fn a_file_written_to_in_between_is_told_from_a_bad_copy() {
        let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        plant(original.path());
        plant(copy.path());
        let tree = Tree::read(original.path(), &[], &context()).unwrap();
        fs::write(original.path().join("inner/file"), b"FOUR, and more").unwrap();
        let found = tree.differences(copy.path(), &context()).unwrap();
        assert_eq!(found, ["./inner/file: was changed while quickstart ran"]);
    }
}
