//! Which `br` works on which cluster (`br/pkg/version/version.go` of pingcap/tidb). `br` checks the same and more; known here, it is
//! said before anything is started.

use semver::Version;
use serde::Deserialize;

use crate::br::version::{FIRST, parse, too_old};

/// A store, as PD lists it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Store {
    #[serde(default)]
    address: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    state_name: String,
    #[serde(default)]
    labels: Vec<Label>,
}

#[derive(Debug, Clone, Deserialize)]
struct Label {
    key: String,
    value: String,
}

impl Store {
    /// The version of a TiKV that is in use; `None` for others, and for what is no version.
    fn tikv(&self) -> Option<Version> {
        let flash = |label: &Label| label.key == "engine" && label.value.starts_with("tiflash");
        (!self.state_name.eq_ignore_ascii_case("tombstone") && !self.labels.iter().any(flash)).then(|| parse(&self.version))?
    }
}

/// The one in the output of `br --version`.
pub(super) fn printed(output: &str) -> Option<Version> {
    output.lines().find_map(|line| parse(line.trim().strip_prefix("Release Version:")?))
}

/// The version of the oldest TiKV.
pub(super) fn oldest(stores: &[Store]) -> Option<Version> {
    stores.iter().filter_map(Store::tikv).min()
}

/// Whether this `br` works on those stores: what should be known if it does, and why if it does not.
pub(super) fn check(br: &Version, stores: &[Store]) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for store in stores {
        let Some(tikv) = store.tikv() else { continue };
        let whom = format!("TiKV {tikv} at {}", store.address);
        if too_old(&tikv) {
            return Err(format!("{whom} is older than {FIRST}, the first that BR works on"));
        }
        if br.major < tikv.major {
            return Err(format!("BR {br} is older than {whom}; take one of version {}.x", tikv.major));
        }
        if br.major > tikv.major + 1 {
            return Err(format!("BR {br} is too new for {whom}; take one of version {0}.x or {1}.x", tikv.major, tikv.major + 1));
        }
        if (br.major, br.minor) >= (8, 2) && (tikv.major, tikv.minor) < (8, 2) {
            return Err(format!("BR {br} does not work on {whom}; take one older than 8.2"));
        }
        if *br < tikv {
            warnings.push(format!("BR {br} is older than {whom}; one of the same version suits better"));
        }
    }
    warnings.dedup();
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(version: &str) -> Store {
        Store { address: "10.0.0.1:20160".to_owned(), version: version.to_owned(), ..Store::default() }
    }

    #[test]
    fn each_rule_of_brs_own_is_kept() {
        for (br, tikv, allowed) in [
            ("6.5.0", "6.5.0", Some(0)),
            ("6.5.0", "6.5.3", Some(1)),
            ("6.5.3", "6.1.0", Some(0)),
            ("7.1.0", "6.5.0", Some(0)),
            ("8.1.0", "6.5.0", None),
            ("6.5.0", "7.1.0", None),
            ("8.1.0", "8.2.0", Some(1)),
            ("8.2.0", "8.1.1", None),
            ("8.2.0", "7.5.0", None),
            ("8.5.0", "8.2.0", Some(0)),
            ("8.2.0-alpha-5-gabcdef", "8.2.0-alpha", Some(0)),
            ("3.1.0", "3.1.0-beta.1", None),
            ("3.1.0", "3.1.0-beta.2", Some(0)),
            ("4.0.0", "3.0.20", None),
            ("6.5.0", "no version", Some(0)),
        ] {
            let checked = check(&parse(br).unwrap(), &[store(tikv)]);
            assert_eq!(checked.as_ref().ok().map(Vec::len), allowed, "BR {br} on TiKV {tikv}: {checked:?}");
        }
    }

    #[test]
    fn only_what_holds_the_data_counts() {
        let gone = Store { state_name: "Tombstone".to_owned(), ..store("4.0.0") };
        let label = Label { key: "engine".to_owned(), value: "tiflash".to_owned() };
        let flash = Store { labels: vec![label], ..store("4.0.0") };
        let stores = [gone, flash, store("v7.1.0"), store("\"6.5.0\"\n")];
        assert_eq!(oldest(&stores), parse("6.5.0"));
        assert_eq!(check(&parse("7.1.0").unwrap(), &stores), Ok(Vec::new()));
    }

    #[test]
    fn the_version_that_br_prints_is_found() {
        let output = "Release Version: v6.5.0\nGit Commit Hash: 706c3fa3c526cdba5b3e9f066b1a568fb96c56e3\nGo Version: go1.19.3\n";
        assert_eq!(printed(output), parse("6.5.0"));
        assert_eq!(printed("something else"), None);
    }
}
