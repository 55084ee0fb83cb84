//! What things are called in the bucket: keys below the prefix, and the reserved place of what is unfinished.

use backup_core::{JobId, KeyPrefix, ObjectKey, Result};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use super::config::refused;

/// What stays as it is in a path: the unreserved characters of SigV4, and the slash.
pub(super) const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// What stays as it is in a parameter of a query.
pub(super) const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Where what is unfinished is noted; no [`ObjectKey`] leads there.
const RESERVED: &str = ".backup/tmp/";

/// The names below one prefix of one bucket.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// Empty, or ending in a slash.
    prefix: String,
}

impl Names {
    /// # Errors
    /// `s3.config` for a prefix that could not stand before a key.
    pub(super) fn new(prefix: &str) -> Result<Self> {
        let prefix = KeyPrefix::new(prefix.trim_matches('/'))
            .map_err(|error| refused(format!("`prefix` cannot be used: {}", error.message())))?;
        Ok(Self { prefix: prefix.as_str().to_owned() })
    }

    /// The name of an object in the bucket.
    pub(super) fn object(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.prefix)
    }

    /// What the names of all objects under `prefix` begin with.
    pub(super) fn under(&self, prefix: &KeyPrefix) -> String {
        format!("{}{prefix}", self.prefix)
    }

    /// The key of a name in the bucket; `None` for a name that is none of ours.
    pub(super) fn key(&self, name: &str) -> Option<ObjectKey> {
        ObjectKey::new(name.strip_prefix(&self.prefix)?).ok()
    }

    /// What the names of all that is unfinished begin with.
    pub(super) fn reserved(&self) -> String {
        format!("{}{RESERVED}", self.prefix)
    }

    /// True for what lies in the reserved place.
    pub(super) fn is_reserved(&self, name: &str) -> bool {
        name.strip_prefix(&self.prefix).is_some_and(ObjectKey::is_reserved)
    }
}

/// What the name of a note in the reserved place says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// A multipart upload of this job: `<job>.<random>.upload`.
    Upload(JobId),
    /// What a probe wrote: `<random>.probe`.
    Probe,
}

impl Note {
    /// Reads a name behind [`Names::reserved`]; `None` for one that this store never makes.
    pub(super) fn of(name: &str) -> Option<Self> {
        if let Some(random) = name.strip_suffix(".probe") {
            return is_random(random).then_some(Self::Probe);
        }
        let (job, random) = name.strip_suffix(".upload")?.split_once('.')?;
        if is_random(random) { JobId::new(job).ok().map(Self::Upload) } else { None }
    }

    /// The name behind [`Names::reserved`].
    pub(super) fn name(&self, random: u64) -> String {
        match self {
            Self::Upload(job) => format!("{job}.{random:016x}.upload"),
            Self::Probe => format!("{random:016x}.probe"),
        }
    }
}

fn is_random(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_this_store_makes_are_notes() {
        let job = JobId::new("0123456789abcdef0123456789abcdef").unwrap();
        for note in [Note::Upload(job), Note::Probe] {
            assert_eq!(Note::of(&note.name(0xab)), Some(note));
        }
        for other in [
            "",
            "x",
            "x.upload",
            "a.b.upload",
            ".00000000000000ab.upload",
            "0.probe",
            "00000000000000AB.probe",
            "0123456789abcdef0123456789abcdef.00000000000000ab",
        ] {
            assert_eq!(Note::of(other), None, "{other}");
        }
    }

    #[test]
    fn names_lead_back_to_keys_and_the_reserved_place_to_none() {
        let names = Names::new("/a b/c/").unwrap();
        let key = ObjectKey::new("x/y z").unwrap();
        assert_eq!(names.object(&key), "a b/c/x/y z");
        assert_eq!(names.key("a b/c/x/y z"), Some(key));
        assert_eq!(names.key("a b/cc/x"), None);
        assert_eq!(names.key(&format!("{}x", names.reserved())), None);
        assert!(names.is_reserved("a b/c/.backup/tmp/x") && !names.is_reserved(".backup/tmp/x"));
        assert!(Names::new("a//b").is_err());
    }
}
