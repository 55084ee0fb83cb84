//! Where an object lives: [`ObjectKey`] and [`KeyPrefix`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, codes};

/// The longest key, in bytes (the limit of S3).
pub const MAX_KEY_LEN: usize = 1024;
/// The longest segment between two slashes, in bytes (the limit of most file systems, less room for a suffix).
pub const MAX_SEGMENT_LEN: usize = 240;

/// The name of an object in a store: slash-separated segments, relative, never leaving the root.
///
/// Each segment has 1 to [`MAX_SEGMENT_LEN`] bytes, is not `.` or `..`, and holds no control character and no backslash;
/// the whole has at most [`MAX_KEY_LEN`] bytes and does not lie in `.backup/tmp`. Keys order by their bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey(String);

/// A whole number of leading segments: empty (everything), or a valid key followed by `/`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyPrefix(String);

/// Where stores keep what is unfinished: no object has a key there.
const UNFINISHED: &str = ".backup/tmp";

/// Checks slash-separated segments; `what` names the thing in the error.
pub(crate) fn check_segments(what: &str, text: &str) -> Result<()> {
    let bad = |why: &str| {
        Err(Error::new(&codes::INPUT_INVALID, format!("{what} {:?} {why}", text.chars().take(80).collect::<String>())))
    };
    if text.len() > MAX_KEY_LEN {
        return bad("is longer than 1024 bytes");
    }
    for segment in text.split('/') {
        if segment.is_empty() {
            return bad("has an empty segment");
        }
        if segment == "." || segment == ".." {
            return bad("has a segment `.` or `..`");
        }
        if segment.len() > MAX_SEGMENT_LEN {
            return bad("has a segment longer than 240 bytes");
        }
        if segment.chars().any(|c| c.is_control() || c == '\\') {
            return bad("holds a control character or a backslash");
        }
    }
    Ok(())
}

impl ObjectKey {
    /// Checks and wraps a key.
    ///
    /// # Errors
    /// `input.invalid`, with the rule that was broken.
    pub fn new(key: impl Into<String>) -> Result<Self> {
        let key = key.into();
        check_segments("object key", &key)?;
        if Self::is_reserved(&key) {
            return Err(Error::new(
                &codes::INPUT_INVALID,
                format!("object key {key:?} lies in {UNFINISHED}, where stores keep what is unfinished"),
            ));
        }
        Ok(Self(key))
    }

    /// Wraps a key that was checked before.
    pub(crate) fn checked(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// True for `.backup/tmp` and everything below: a store may keep unfinished objects there, for no key leads to them.
    pub fn is_reserved(path: &str) -> bool {
        path.strip_prefix(UNFINISHED).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// What is left behind `prefix`, or `None` when the key is not under it.
    pub fn strip_prefix(&self, prefix: &KeyPrefix) -> Option<&str> {
        self.0.strip_prefix(prefix.as_str())
    }
}

impl KeyPrefix {
    /// The prefix of everything.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// Checks and wraps a prefix, given with or without its final slash; empty is the root.
    ///
    /// # Errors
    /// `input.invalid`, with the rule that was broken.
    pub fn new(prefix: impl Into<String>) -> Result<Self> {
        let mut prefix = prefix.into();
        if prefix.is_empty() {
            return Ok(Self(prefix));
        }
        check_segments("key prefix", prefix.strip_suffix('/').unwrap_or(&prefix))?;
        if !prefix.ends_with('/') {
            prefix.push('/');
        }
        Ok(Self(prefix))
    }

    /// The prefix as text: empty, or ending in `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key `name` under this prefix; `name` may hold slashes.
    ///
    /// # Errors
    /// `input.invalid` when the result is no valid key.
    pub fn key(&self, name: &str) -> Result<ObjectKey> {
        ObjectKey::new(format!("{}{name}", self.0))
    }

    /// The prefix `name/` under this prefix.
    ///
    /// # Errors
    /// `input.invalid` when the result is no valid prefix.
    pub fn join(&self, name: &str) -> Result<KeyPrefix> {
        KeyPrefix::new(format!("{}{name}", self.0))
    }
}

macro_rules! text_type {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $type {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $type {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }
    };
}
pub(crate) use text_type;

text_type!(ObjectKey);
text_type!(KeyPrefix);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_could_leave_the_root_or_confuse_a_store_are_refused() {
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "..",
            "a/../b",
            "./a",
            "a/.",
            "a\\b",
            "a\0b",
            "a\nb",
            "a\u{7f}",
            ".backup/tmp",
            ".backup/tmp/x",
        ] {
            assert!(ObjectKey::new(bad).is_err(), "{bad:?} must be refused");
        }
        assert!(ObjectKey::new("x".repeat(241)).is_err());
        assert!(ObjectKey::new(["x"; 600].join("/")).is_err());
    }

    #[test]
    fn odd_but_legal_keys_are_kept_as_they_are() {
        for good in ["a", "a b/c+d=é", "...", ".backup/sets/x.json", ".backup/tmpx", "v1/3.5.1+h2_00_etcd.backup"] {
            assert_eq!(ObjectKey::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_prefix_ends_at_a_segment_border() {
        let prefix = KeyPrefix::new("etcd/prod").unwrap();
        assert_eq!(prefix.as_str(), "etcd/prod/");
        assert_eq!(ObjectKey::new("etcd/prod/x").unwrap().strip_prefix(&prefix), Some("x"));
        assert_eq!(ObjectKey::new("etcd/prod2/x").unwrap().strip_prefix(&prefix), None);
        assert_eq!(KeyPrefix::new("").unwrap(), KeyPrefix::root());
    }
}
