//! Ids of records.

use std::fmt;

use backup_core::environment::Random;
use backup_core::{Digest, JobId};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of a record: 16 bytes, written as 22 characters of URL-safe base64 without padding, of which the first is no `-` and no `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RecordId([u8; 16]);

impl RecordId {
    /// A new one.
    pub(super) fn random(random: &dyn Random) -> Self {
        loop {
            let bytes = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
            let id = Self(bytes.to_be_bytes());
            if id.begins_well() {
                return id;
            }
        }
    }

    /// That of the backup which a firing of a schedule makes: the same firing twice is one backup.
    pub(super) fn of_firing(job: &JobId) -> Self {
        let mut text = job.as_str().to_owned();
        loop {
            let digest = Digest::of(text.as_bytes());
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
            let id = Self(bytes);
            if id.begins_well() {
                return id;
            }
            text.push('.');
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        // Characters beyond the sixteenth byte are zero bits, which the decoder checks.
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self).filter(|id| id.begins_well())
    }

    fn begins_well(&self) -> bool {
        // The first character is the upper six bits: 62 is `-`, 63 is `_`.
        self.0.first().is_some_and(|byte| byte >> 2 < 62)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for RecordId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no id of a record"))
    }
}

#[cfg(test)]
mod tests {
    use backup_core::environment::SystemRandom;

    use super::*;

    #[test]
    fn ids_are_as_documented_and_are_read_back() {
        for _ in 0..2000 {
            let id = RecordId::random(&SystemRandom);
            let text = id.to_string();
            assert!(text.len() == 22 && !text.starts_with(['-', '_']), "{text}");
            assert_eq!(RecordId::parse(&text), Some(id));
        }
        assert_eq!(RecordId::parse("h6IhUQh-Q32MDOfcVieYgA").map(|id| id.to_string()).as_deref(), Some("h6IhUQh-Q32MDOfcVieYgA"));
        for bad in [
            "",
            "xxxxxx",
            "-6IhUQh-Q32MDOfcVieYgA",
            "h6IhUQh-Q32MDOfcVieYg/",
            "h6IhUQh-Q32MDOfcVieYgB",
            "h6IhUQh-Q32MDOfcVieYgAA",
        ] {
            assert_eq!(RecordId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_firing_has_one_id() {
        let (a, b) = (JobId::random(&SystemRandom), JobId::random(&SystemRandom));
        assert_eq!(RecordId::of_firing(&a), RecordId::of_firing(&a));
        assert_ne!(RecordId::of_firing(&a), RecordId::of_firing(&b));
    }
}
