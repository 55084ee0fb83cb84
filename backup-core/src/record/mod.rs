//! Records: the small immutable JSON objects that say what exists.
//!
//! A record is a JSON object whose first member is `"digest": "sha256:<64 hex digits>"`: the SHA-256 of the record's own
//! bytes with those 64 digits set to `0`. Any changed bit of a record is found, whatever it hits, and the check needs no canonical
//! form: `sed '2s/[0-9a-f]\{64\}/0000…/' FILE | sha256sum`.

mod aborted;
mod intent;
mod pin;
mod tombstone;
mod verified;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use aborted::Aborted;
pub use intent::{IntendedArtifact, Intent};
pub use pin::Pin;
pub use tombstone::Tombstone;
pub use verified::{Finding, Verified};

use crate::digest::Digest;
use crate::error::{Error, Result, codes};
use crate::name::{BackupId, SetName};

/// The largest record that is read: a manifest of a 16 TiB artifact has 300 MiB.
pub(crate) const MAX_RECORD: u64 = 512 << 20;

const HEAD: &str = "{\n  \"digest\": \"sha256:";
const DIGITS: usize = 64;

/// A kind of record: its `format` member and the newest `version` this software writes and reads.
pub trait Record: Serialize + DeserializeOwned {
    /// The value of `format`.
    const FORMAT: &'static str;
    /// The version written; higher ones are refused.
    const VERSION: u64;
}

/// A record by which objects of a backup are removed: what it claims is checked against the place where it stands.
pub(crate) trait Claims: Record {
    /// # Errors
    /// `record.corrupt` when it is not of this backup, or claims what that cannot own.
    fn check_claims(&self, set: &SetName, id: &BackupId) -> Result<()>;
}

pub(crate) fn check_owner(format: &str, stated: (&SetName, &BackupId), place: (&SetName, &BackupId)) -> Result<()> {
    if stated != place {
        let why = format!("a `{format}` record of {} {} stands in the place of {} {}", stated.0, stated.1, place.0, place.1);
        return Err(Error::new(&codes::RECORD_CORRUPT, why));
    }
    Ok(())
}

/// The bytes of a record, digest included.
///
/// # Errors
/// `internal.error` when it cannot be written as JSON.
pub fn seal<R: Record>(record: &R) -> Result<Bytes> {
    let internal = |error: serde_json::Error| Error::new(&codes::INTERNAL, format!("a {} record: {error}", R::FORMAT));
    let Value::Object(members) = serde_json::to_value(record).map_err(internal)? else {
        return Err(Error::new(&codes::INTERNAL, "a record must be a JSON object"));
    };
    let mut sealed = serde_json::Map::new();
    sealed.insert("digest".into(), Value::from(format!("sha256:{}", "0".repeat(DIGITS))));
    sealed.insert("format".into(), Value::from(R::FORMAT));
    sealed.insert("version".into(), Value::from(R::VERSION));
    sealed.extend(members.into_iter().filter(|(name, _)| !sealed_name(name)));
    let mut bytes = serde_json::to_vec_pretty(&Value::Object(sealed)).map_err(internal)?;
    bytes.push(b'\n');
    let digest = Digest::of(&bytes).to_string();
    match bytes.get_mut(HEAD.len()..HEAD.len() + DIGITS) {
        Some(digits) => digits.copy_from_slice(digest.as_bytes()),
        None => return Err(Error::new(&codes::INTERNAL, "a record is shorter than its own head")),
    }
    Ok(bytes.into())
}

fn sealed_name(name: &str) -> bool {
    matches!(name, "digest" | "format" | "version")
}

/// Checks a record's digest and returns its members, whatever kind it is.
///
/// # Errors
/// `record.corrupt`.
pub fn check(bytes: &[u8]) -> Result<serde_json::Map<String, Value>> {
    let corrupt = |why: &str| Error::new(&codes::RECORD_CORRUPT, format!("the record is damaged: {why}"));
    if !bytes.starts_with(HEAD.as_bytes()) {
        return Err(corrupt("it does not start with its digest"));
    }
    let digits = HEAD.len()..HEAD.len() + DIGITS;
    let stated = bytes.get(digits.clone()).ok_or_else(|| corrupt("it ends within its digest"))?;
    let mut zeroed = bytes.to_vec();
    if let Some(place) = zeroed.get_mut(digits) {
        place.fill(b'0');
    }
    // Compared as text: another spelling of the same digest is a changed bit, too.
    if Digest::of(&zeroed).to_string().as_bytes() != stated {
        return Err(corrupt("its digest does not match"));
    }
    serde_json::from_slice(bytes).map_err(|error| corrupt(&error.to_string()))
}

/// The `format` member of checked members.
pub fn format_of(members: &serde_json::Map<String, Value>) -> &str {
    members.get("format").and_then(Value::as_str).unwrap_or_default()
}

/// Reads checked members as a record of kind `R`.
///
/// # Errors
/// `record.unsupported` for a newer version or an unknown required feature; `record.corrupt` for another format or shape.
pub fn parse<R: Record>(members: serde_json::Map<String, Value>) -> Result<R> {
    if format_of(&members) != R::FORMAT {
        return Err(Error::new(
            &codes::RECORD_CORRUPT,
            format!("a record of format `{}` stands where one of `{}` belongs", format_of(&members), R::FORMAT),
        ));
    }
    let version = members.get("version").and_then(Value::as_u64).unwrap_or(u64::MAX);
    if version > R::VERSION {
        return Err(Error::new(
            &codes::RECORD_UNSUPPORTED,
            format!("a `{}` record of version {version}; this software reads up to {}", R::FORMAT, R::VERSION),
        ));
    }
    let members = members.into_iter().filter(|(name, _)| !sealed_name(name)).collect();
    serde_json::from_value(Value::Object(members))
        .map_err(|error| Error::new(&codes::RECORD_CORRUPT, format!("a `{}` record: {error}", R::FORMAT)))
}

/// [`check`] and [`parse`] in one step.
///
/// # Errors
/// Those of both.
pub fn open<R: Record>(bytes: &[u8]) -> Result<R> {
    parse(check(bytes)?)
}

#[cfg(test)]
mod tests;
