//! Where things lie: names and their escaping.

use backup_core::error::codes;
use backup_core::{Error, JobId, ObjectKey, Random, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What the container of segments has behind the container's name: the custom of Swift's own client.
pub(super) const SEGMENTS: &str = "_segments";

/// All but what RFC 3986 leaves unreserved.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const ESCAPED_PATH: AsciiSet = ESCAPED.remove(b'/');

/// A name in a URL; slashes stay.
pub(super) fn escaped(name: &str) -> String {
    utf8_percent_encode(name, &ESCAPED_PATH).to_string()
}

/// A value in a URL's query.
pub(super) fn escaped_value(value: &str) -> String {
    utf8_percent_encode(value, &ESCAPED).to_string()
}

/// A container and a name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) container: String,
    pub(super) name: String,
}

impl Place {
    /// `/container/name`, escaped.
    pub(super) fn path(&self) -> String {
        format!("/{}/{}", escaped(&self.container), escaped(&self.name))
    }

    /// `/container/name` as manifests have it: not escaped.
    pub(super) fn plain(&self) -> String {
        format!("/{}/{}", self.container, self.name)
    }
}

/// The names of one store.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// Of objects.
    pub(super) container: String,
    /// Of segments.
    pub(super) segments: String,
    /// Empty, or ending in a slash.
    pub(super) prefix: String,
    pub(super) longest_name: usize,
}

impl Places {
    pub(super) fn object(&self, key: &ObjectKey) -> Result<Place> {
        let name = format!("{}{key}", self.prefix);
        if name.len() > self.longest_name {
            let text = format!("{key} has {} bytes with its prefix; Swift takes {}", name.len(), self.longest_name);
            return Err(Error::new(&codes::INPUT_INVALID, text));
        }
        Ok(Place { container: self.container.clone(), name })
    }

    /// The key that a name in the container stands for; `None` for what is not ours.
    pub(super) fn key(&self, name: &str) -> Option<ObjectKey> {
        ObjectKey::new(name.strip_prefix(&self.prefix)?).ok()
    }

    fn unfinished(&self, rest: &str) -> Place {
        // No key leads to `.backup/tmp`, so a store with a longer prefix has its own.
        Place { container: self.segments.clone(), name: format!("{}.backup/tmp/{rest}", self.prefix) }
    }

    /// The records of uploads that began.
    pub(super) fn records(&self) -> Place {
        self.unfinished("open/")
    }

    pub(super) fn record(&self, upload: &Upload) -> Place {
        self.unfinished(&format!("open/{}", upload.name))
    }

    /// The marks of uploads that a sweep is removing.
    pub(super) fn marks(&self) -> Place {
        self.unfinished("swept/")
    }

    pub(super) fn mark(&self, upload: &Upload) -> Place {
        self.unfinished(&format!("swept/{}", upload.name))
    }

    /// Where the segments of all uploads lie.
    pub(super) fn all_parts(&self) -> Place {
        self.unfinished("parts/")
    }

    /// Where all segments of an upload lie.
    pub(super) fn parts(&self, upload: &Upload) -> Place {
        self.unfinished(&format!("parts/{}/", upload.name))
    }

    pub(super) fn segment(&self, upload: &Upload, number: u64) -> Place {
        self.unfinished(&format!("parts/{}/{number:08}", upload.name))
    }

    /// A manifest that a manifest of `level + 1` names.
    pub(super) fn nested(&self, upload: &Upload, level: usize, number: usize) -> Place {
        self.unfinished(&format!("parts/{}/manifest-{level}-{number:05}", upload.name))
    }
}

/// One write of a large object, owned by a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    /// `<job>-<random>`
    name: String,
}

impl Upload {
    pub(super) fn new(owner: &JobId, random: &dyn Random) -> Self {
        Self { name: format!("{owner}-{:016x}", random.next_u64()) }
    }

    /// Its name, `<job>-<random>`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What a record's or mark's name stands for; `None` for names that this store does not make.
    pub(super) fn of(name: &str) -> Option<(Self, JobId)> {
        let (job, random) = name.split_once('-')?;
        let hex = random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let owner = JobId::new(job).ok().filter(|_| hex)?;
        Some((Self { name: name.to_owned() }, owner))
    }
}
