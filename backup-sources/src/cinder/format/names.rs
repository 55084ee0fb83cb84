//! What the parts of a backup are called.

use backup_core::store::NativePlace;
use backup_core::{ArtifactName, Result};

/// What all parts of a backup of ours are called by.
pub(super) const STEM: &str = "backup";

pub(super) const METADATA: &str = "_metadata";
pub(super) const SHA256FILE: &str = "_sha256file";

/// The artifact of the `number`-th object, counted from 1.
pub(super) fn object(number: u64) -> Result<ArtifactName> {
    ArtifactName::new(numbered(STEM, number))
}

pub(super) fn extra(suffix: &str) -> Result<ArtifactName> {
    ArtifactName::new(format!("{STEM}{suffix}"))
}

/// An object's name as Cinder makes it.
pub(super) fn numbered(prefix: &str, number: u64) -> String {
    format!("{prefix}-{number:05}")
}

/// What Cinder calls `stem` there, and compares with its listing: whole names in a container, the file's alone in a directory.
pub(super) fn prefix(place: Option<&NativePlace>, stem: &str) -> String {
    match place {
        Some(place) if !is_directory(place) => format!("{}{stem}", place.prefix),
        _ => last_segment(stem).to_owned(),
    }
}

/// True where containers are directories.
pub(super) fn is_directory(place: &NativePlace) -> bool {
    matches!(place.kind.as_str(), "file" | "nfs")
}

pub(super) fn last_segment(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, last)| last)
}

/// The name without its number.
pub(super) fn without_number(name: &str) -> Option<&str> {
    let (prefix, number) = name.rsplit_once('-')?;
    (number.len() >= 5 && number.bytes().all(|digit| digit.is_ascii_digit())).then_some(prefix)
}
