//! Ids: UUIDs, as all of OpenStack has them.

use backup_core::environment::Random;
use backup_core::{JobId, Result};

/// The text of a UUID in lower case; `None` for anything else. Nothing else becomes part of a URL or a key.
pub(super) fn uuid(text: &str) -> Option<String> {
    let is_right = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    (text.len() == 36 && text.bytes().enumerate().all(is_right)).then(|| text.to_ascii_lowercase())
}

/// A new random UUID (version 4).
pub(super) fn new_uuid(random: &dyn Random) -> String {
    let (high, low) = (random.next_u64(), random.next_u64());
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(0b11 << 62)) | (0b10 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// The job of a piece of work: its UUID without hyphens.
pub(super) fn job_id(uuid: &str) -> Result<JobId> {
    JobId::new(uuid.replace('-', ""))
}

/// Whether a project's id can be part of a key.
pub(super) fn is_project(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use backup_core::environment::SystemRandom;

    use super::*;

    #[test]
    fn new_ids_are_uuids_of_version_4_and_name_a_job() {
        for _ in 0..1000 {
            let id = new_uuid(&SystemRandom);
            assert_eq!(uuid(&id).as_deref(), Some(id.as_str()));
            assert_eq!(&id[14..15], "4");
            assert!("89ab".contains(&id[19..20]), "{id}");
            job_id(&id).unwrap();
        }
    }

    #[test]
    fn what_is_no_uuid_is_none() {
        for bad in [
            "",
            "..",
            "x",
            "11111111-1111-1111-1111-11111111111",
            "11111111-1111-1111-1111-1111111111111",
            "11111111-1111-1111-1111-11111111111/",
            "11111111-1111-1111-1111-11111111111\n",
            "111111111111111111111111111111111111",
            "g1111111-1111-1111-1111-111111111111",
        ] {
            assert_eq!(uuid(bad), None, "{bad:?}");
        }
        assert!(uuid("ABCDEF00-1111-1111-1111-111111111111").unwrap().starts_with("abcdef00"));
        assert!(is_project("0123456789abcdef0123456789abcdef") && !is_project("a/b") && !is_project("") && !is_project(".."));
    }
}
