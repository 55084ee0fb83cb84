//! Versions: which backup suits which etcd, and what is said of a text that is none.

use backup_core::compat::{self, CompatRule, MinorVersion};
use backup_core::error::codes;

/// What is wrong with a version that was asked for, or with that of a backup.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// The backup's own version cannot be read.
    Stored(String),
    /// The requested one cannot be read.
    Requested(String),
    /// Both are versions, of minor versions that do not go together.
    Incompatible { requested: MinorVersion, stored: MinorVersion },
}

/// Checks a backup of version `stored` against what a request asks for; an empty text asks for nothing.
pub(super) fn check(stored: &str, requested: &str) -> Result<(), Misfit> {
    let stored_minor = minor(stored).map_err(Misfit::Stored)?;
    if requested.is_empty() {
        return Ok(());
    }
    let requested_minor = minor(requested).map_err(Misfit::Requested)?;
    // 3.0 is the one version that restores what another major left.
    let rule = CompatRule::SameMinorOrOneNewer { exceptions: vec![((3, 0), (2, 3))] };
    match compat::check(&rule, stored, requested) {
        Err(error) if *error.code() == codes::COMPAT_REFUSED => {
            Err(Misfit::Incompatible { requested: requested_minor, stored: stored_minor })
        }
        _ => Ok(()),
    }
}

fn minor(text: &str) -> Result<MinorVersion, String> {
    compat::parse_version(text).map(|version| (version.major, version.minor)).map_err(|_| problem(text))
}

/// What go-semver says of a text that is no version.
fn problem(text: &str) -> String {
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<_> = numbers.splitn(3, '.').collect();
    let is_number = |part: &&&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts.iter().find(|part| !is_number(part)) {
        _ if parts.len() < 3 => format!("{numbers} is not in dotted-tri format"),
        Some(part) => format!("strconv.ParseInt: parsing \"{}\": invalid syntax", part.escape_default()),
        None => format!("{text} is not a version of three dotted integers"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_version_is_explained_as_the_original_did() {
        for (text, said) in [
            ("3.1", "3.1 is not in dotted-tri format"),
            ("garbage", "garbage is not in dotted-tri format"),
            ("v3.1.0", "strconv.ParseInt: parsing \"v3\": invalid syntax"),
            ("3.1.0.2", "strconv.ParseInt: parsing \"0.2\": invalid syntax"),
            ("3.5.1 h2", "strconv.ParseInt: parsing \"1 h2\": invalid syntax"),
            ("3.05.1", "3.05.1 is not a version of three dotted integers"),
            ("\0", "\0 is not in dotted-tri format"),
        ] {
            assert_eq!(check("3.1.0", text), Err(Misfit::Requested(said.to_owned())), "{text:?}");
        }
        assert_eq!(check("x", "y"), Err(Misfit::Stored("x is not in dotted-tri format".to_owned())));
    }

    #[test]
    fn a_backup_suits_its_own_minor_version_and_the_next_one() {
        let incompatible = |requested, stored| Err(Misfit::Incompatible { requested, stored });
        for (stored, requested, expected) in [
            ("3.1.0", "", Ok(())),
            ("3.1.0-alpha.1", "3.1.9", Ok(())),
            ("3.3.10", "3.3.10", Ok(())),
            ("3.5.1", "3.6.0+h2", Ok(())),
            ("2.3.8", "3.0.0", Ok(())),
            ("3.2.0", "3.1.0", incompatible((3, 1), (3, 2))),
            ("3.1.0", "3.3.0", incompatible((3, 3), (3, 1))),
            ("2.3.8", "3.1.0", incompatible((3, 1), (2, 3))),
        ] {
            assert_eq!(check(stored, requested), expected, "{stored} for {requested}");
        }
    }
}
