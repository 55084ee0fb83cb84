//! Which backup may be restored into which version: rules on `major.minor.patch`.

use semver::Version;

use crate::error::{Error, Result, codes};

/// A pair of major and minor version.
pub type MinorVersion = (u64, u64);

/// Which versions of a backup suit a version that is restored into. Pure data: what a given program accepts beyond the rule is
/// the caller's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompatRule {
    /// Every version suits every version.
    Any,
    /// The same major, and the backup's minor is the requested one or one lower: what was requested is the same or one newer.
    SameMinorOrOneNewer {
        /// Pairs of `(requested, backup)` that are accepted, too.
        exceptions: Vec<(MinorVersion, MinorVersion)>,
    },
}

impl CompatRule {
    /// [`CompatRule::SameMinorOrOneNewer`] without exceptions.
    pub fn same_minor_or_one_newer() -> Self {
        Self::SameMinorOrOneNewer { exceptions: Vec::new() }
    }

    fn accepts(&self, backup: MinorVersion, requested: MinorVersion) -> bool {
        match self {
            Self::Any => true,
            Self::SameMinorOrOneNewer { exceptions } => {
                let one_lower = requested.1.checked_sub(1);
                backup.0 == requested.0 && (backup.1 == requested.1 || Some(backup.1) == one_lower)
                    || exceptions.contains(&(requested, backup))
            }
        }
    }
}

/// Checks whether a backup of version `backup` may be restored where version `requested` is wanted. Patch, pre-release and build
/// do not count.
///
/// # Errors
/// `compat.refused`, naming both; `input.invalid` when one is no version.
pub fn check(rule: &CompatRule, backup: &str, requested: &str) -> Result<()> {
    let minor = |text| parse_version(text).map(|version| (version.major, version.minor));
    if rule.accepts(minor(backup)?, minor(requested)?) {
        return Ok(());
    }
    Err(Error::new(
        &codes::COMPAT_REFUSED,
        format!("a backup of version {backup} cannot be restored where version {requested} is requested"),
    ))
}

/// Reads `3.5.21`: exactly three integers. A pre-release or build behind them (`-rc.1`, `+g1f0c9a2`) is checked and dropped.
///
/// # Errors
/// `input.invalid` for anything else, `v3.5.1` and `3.5` included.
pub fn parse_version(text: &str) -> Result<Version> {
    let version = Version::parse(text).map_err(|error| {
        let text: String = text.chars().take(60).collect();
        Error::new(&codes::INPUT_INVALID, format!("{text:?} is no version of the form major.minor.patch")).with_source(error)
    })?;
    Ok(Version::new(version.major, version.minor, version.patch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requested_minor_is_the_same_or_one_newer_within_a_major() {
        let rule = CompatRule::SameMinorOrOneNewer { exceptions: vec![((3, 0), (2, 3))] };
        for (backup, requested, accepted) in [
            ("3.5.1", "3.5.1", true),
            ("3.5.9", "3.5.0", true),
            ("3.4.30", "3.5.0", true),
            ("3.5.0-rc.1", "3.6.0+abc", true),
            ("3.3.0", "3.5.0", false),
            ("3.6.0", "3.5.0", false),
            ("4.0.0", "3.9.0", false),
            ("3.9.0", "4.0.0", false),
            ("2.4.0", "3.5.0", false),
            ("2.5.0", "3.5.0", false),
            ("2.3.8", "3.0.1", true),
            ("2.2.8", "3.0.1", false),
            ("3.0.1", "2.3.8", false),
            ("2.3.8", "3.1.0", false),
            ("0.0.1", "0.0.2", true),
            ("0.18446744073709551615.0", "1.0.0", false),
        ] {
            let result = check(&rule, backup, requested);
            assert_eq!(result.is_ok(), accepted, "{backup} -> {requested}: {result:?}");
            if let Err(error) = result {
                assert_eq!(error.code().name, "compat.refused");
                assert!(error.message().contains(backup) && error.message().contains(requested), "{error}");
            }
        }
    }

    #[test]
    fn without_an_exception_another_major_is_refused_and_any_accepts_all() {
        assert!(check(&CompatRule::same_minor_or_one_newer(), "2.3.8", "3.0.1").is_err());
        assert!(check(&CompatRule::Any, "1.0.0", "9.9.9").is_ok());
    }

    #[test]
    fn only_three_integers_are_a_version() {
        assert_eq!(parse_version("3.5.21").unwrap(), Version::new(3, 5, 21));
        assert_eq!(parse_version("3.5.21-alpha.1+build.7").unwrap(), Version::new(3, 5, 21));
        for bad in
            ["", "3", "3.5", "3.5.1.2", "v3.5.1", "3.5.x", " 3.5.1", "3.05.1", "-1.0.0", "3.5.1-", "3.5.99999999999999999999"]
        {
            assert_eq!(parse_version(bad).unwrap_err().code().name, "input.invalid", "{bad:?}");
            assert_eq!(check(&CompatRule::Any, bad, "3.5.1").unwrap_err().code().name, "input.invalid", "{bad:?}");
        }
    }
}
