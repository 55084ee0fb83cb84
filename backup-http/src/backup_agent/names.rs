//! Names that come from a client and become names of files and objects.

/// The longest id, in bytes.
const LONGEST_ID: usize = 128;
/// The longest segment of a file name, in bytes: as long as that of an object's key, so that whatever was backed up can be asked for.
const LONGEST_SEGMENT: usize = 240;
/// The longest file name, in bytes.
const LONGEST_NAME: usize = 900;

/// Whether it can be the id of a job: 1 to 128 of `[A-Za-z0-9._-]`, no dot in front.
pub(super) fn is_id(id: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=LONGEST_ID).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(legal)
}

/// Whether it can be the name of a file below a job's directory: relative, and going nowhere else.
pub(super) fn is_file_name(name: &str) -> bool {
    let sound = |segment: &str| (1..=LONGEST_SEGMENT).contains(&segment.len()) && segment != "." && segment != "..";
    name.len() <= LONGEST_NAME && name.split('/').all(sound) && is_plain(name)
}

/// Whether it can stand in front of a file name to make a key of both.
pub(super) fn is_prefix(prefix: &str) -> bool {
    prefix.is_empty() || is_file_name(prefix.strip_suffix('/').unwrap_or(prefix)) && prefix.len() < 100
}

/// No control character and no backslash.
fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_names() {
        let longest = "x".repeat(128);
        for id in ["a", "778f038c-e1c5-11e8-9f32-f2801f1b9fd1", "5c0123456789abcdef0123450", "A_b.c-", longest.as_str()] {
            assert!(is_id(id), "{id}");
        }
        let too_long = "x".repeat(129);
        for id in ["", ".", "..", ".a", "../a", "a/b", "a b", "a\0", "a\n", "é", "a\\b", "a%2fb", too_long.as_str()] {
            assert!(!is_id(id), "{id:?}");
        }
    }

    #[test]
    fn file_names_stay_in_their_directory() {
        for name in ["a", "2026_11_21_09_30_h_db.tar.gz", "plan/a.dump", ".hidden", "a b", "ünï", "..."] {
            assert!(is_file_name(name), "{name}");
        }
        let too_long = "x".repeat(241);
        for name in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "./a",
            "a//b",
            "a/",
            "a\0",
            "a\nb",
            "a\\b",
            too_long.as_str(),
        ] {
            assert!(!is_file_name(name), "{name:?}");
        }
    }

    #[test]
    fn prefixes_may_end_in_a_slash_or_not() {
        for prefix in ["", "plan/", "plan", "a/b/"] {
            assert!(is_prefix(prefix), "{prefix}");
        }
        for prefix in ["/", "/a/", "../", "a/../", "a//", "a\0/"] {
            assert!(!is_prefix(prefix), "{prefix:?}");
        }
    }
}
