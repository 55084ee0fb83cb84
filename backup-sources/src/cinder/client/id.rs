//! Ids of OpenStack, before they become part of a URL.

use backup_core::environment::Random;
use backup_core::{Error, Result};

use super::super::codes;

/// Takes an id for what it is, or refuses it: only a UUID becomes part of a URL.
///
/// # Errors
/// `cinder.id`.
pub fn check_id<'a>(what: &str, id: &'a str) -> Result<&'a str> {
    let dashes = [8, 13, 18, 23];
    let legal = |(at, byte): (usize, u8)| if dashes.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    if id.len() == 36 && id.bytes().enumerate().all(legal) {
        return Ok(id);
    }
    let shown: String = id.chars().take(60).collect();
    Err(Error::new(&codes::ID, format!("{shown:?} is no id of a {what}: a UUID is expected")))
}

/// Projects have ids without dashes, and of other kinds where they come from a directory.
pub(super) fn check_project(id: &str) -> Result<&str> {
    if (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        return Ok(id);
    }
    Err(Error::new(&codes::ID, "the id of the project is none"))
}

/// A new random UUID (RFC 9562, version 4).
pub fn new_id(random: &dyn Random) -> String {
    let (high, low) = (random.next_u64(), random.next_u64());
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
