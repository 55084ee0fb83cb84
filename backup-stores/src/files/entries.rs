//! The names of one directory, in the order in which the keys below them sort.

use backup_core::{KeyPrefix, ObjectKey};

/// Collects the names of one directory of a listing: what is no key, or sorts before its start, is left out.
#[derive(Debug)]
pub(crate) struct Entries<'a, T> {
    /// The directory: empty, or ending in `/`.
    path: &'a str,
    after: Option<&'a ObjectKey>,
    names: Vec<(String, T)>,
    /// A name that is no valid key, for the log.
    strange: Option<String>,
}

impl<'a, T> Entries<'a, T> {
    pub(crate) fn new(path: &'a str, after: Option<&'a ObjectKey>) -> Self {
        Self { path, after, names: Vec::new(), strange: None }
    }

    /// Adds a file, or a directory, with what the listing wants to keep of it.
    pub(crate) fn add(&mut self, raw: &[u8], directory: bool, more: T) {
        let Ok(name) = std::str::from_utf8(raw) else {
            self.strange = Some(format!("{}{}", self.path, String::from_utf8_lossy(raw)));
            return;
        };
        let slash = if directory { "/" } else { "" };
        let whole = format!("{}{name}{slash}", self.path);
        if ObjectKey::is_reserved(&whole) || !self.wanted(&whole) {
            return;
        }
        if directory && KeyPrefix::new(whole.as_str()).is_err() {
            self.strange = Some(whole);
            return;
        }
        self.names.push((format!("{name}{slash}"), more));
    }

    /// Sorted, each name once; directories end in `/`, which puts `a/` behind `a.x` exactly as the keys below it sort. Besides, one
    /// of the names that are no keys.
    pub(crate) fn finish(mut self) -> (std::vec::IntoIter<(String, T)>, Option<String>) {
        self.names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        // A file that is replaced while the directory is read can be seen twice.
        self.names.dedup_by(|a, b| a.0 == b.0);
        (self.names.into_iter(), self.strange)
    }

    /// Whether this file, or anything below this directory, sorts after where the listing starts.
    fn wanted(&self, path: &str) -> bool {
        let Some(after) = self.after else { return true };
        path > after.as_str() || (path.ends_with('/') && after.as_str().starts_with(path))
    }
}
