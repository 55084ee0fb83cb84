//! Which versions go together.
//!
//! Source: `br/pkg/version` of TiDB for what BR refuses, TiDB's documents ("Backup & Restore Overview") for what it does not promise.

use backup_core::{Error, Result};
use semver::Version;

use super::codes;

/// The oldest TiKV with BR.
pub(super) const FIRST: &str = "3.1.0-beta.2";

/// Whether a TiKV is older than BR.
pub(super) fn too_old(tikv: &Version) -> bool {
    Version::parse(FIRST).is_ok_and(|first| *tikv < first)
}

/// What BR needs of a cluster, whatever it shall do. What cannot be known is a warning.
///
/// # Errors
/// `br.version`.
pub(super) fn check_cluster(text: &str, encrypted: bool) -> Result<Vec<String>> {
    let Some(cluster) = parse(text) else { return Ok(vec![unreadable("cluster", text)]) };
    if too_old(&cluster) {
        return refuse(format!("the cluster has version {text}, and BR works with {FIRST} and later"));
    }
    if encrypted && (cluster.major, cluster.minor) < (5, 3) {
        return refuse(format!("the cluster has version {text}, and encrypted backups need 5.3.0 or later"));
    }
    Ok(Vec::new())
}

/// Whether a backup of one cluster goes into another.
///
/// # Errors
/// `br.version`, with both versions and what would be accepted.
pub(super) fn check_restore(backup: &str, cluster: &str, new_collations: Option<&str>) -> Result<Vec<String>> {
    let (from, to) = match (parse(backup), parse(cluster)) {
        (Some(from), Some(to)) => (from, to),
        (None, _) => return Ok(vec![unreadable("backup", backup)]),
        (_, None) => return Ok(vec![unreadable("cluster", cluster)]),
    };
    if from.major > to.major.saturating_add(1) {
        return refuse(format!(
            "the backup is of a cluster of version {backup}, and the cluster to restore into has {cluster}: BR refuses a backup whose major \
             version is more than one above the cluster's. Clusters of version {}.0.0 and later are accepted",
            from.major - 1
        ));
    }
    let mut warnings = Vec::new();
    if !documented(&from, &to) {
        warnings.push(format!(
            "TiDB's documents do not promise that a backup of version {backup} can be restored into a cluster of version {cluster}; BR may \
             refuse the system tables"
        ));
    }
    // Since 6.0 clusters have the new collations unless told otherwise, before they had not.
    if let Some(has) = new_collations.and_then(flag)
        && has != (to.major >= 6)
    {
        warnings.push(format!(
            "the backup was made with `new_collations_enabled` = {has}, which is not what a cluster of version {cluster} has by default; BR \
             refuses a cluster where it differs"
        ));
    }
    Ok(warnings)
}

/// The table of TiDB's documents, for full backups and new clusters. It says nothing of versions before 6.0.
fn documented(from: &Version, to: &Version) -> bool {
    let (from, to) = ((from.major, from.minor), (to.major, to.minor));
    match from {
        (0..=5, _) => true,
        (6, 5) => ((6, 0)..=(7, 4)).contains(&to),
        (6, 0..=4) => ((6, 0)..=(6, 6)).contains(&to),
        _ if from < (7, 5) => (from..(7, 5)).contains(&to),
        _ => to >= from,
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

/// Reads `6.5.0`, `v6.5.0`, `"v6.5.0-alpha"`, and what a TiDB server calls itself: `8.0.11-TiDB-v7.5.0`.
pub(super) fn parse(text: &str) -> Option<Version> {
    let text = text.trim().trim_matches('"');
    let text = text.rsplit_once("-TiDB-").map_or(text, |(_, version)| version);
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

fn unreadable(whose: &str, text: &str) -> String {
    format!("the version of the {whose}, `{text:.100}`, cannot be read, so nothing was checked against it")
}

fn refuse<T>(what: String) -> Result<T> {
    Err(Error::new(&codes::VERSION, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_that_br_cannot_work_with_are_refused() {
        for (version, plain, encrypted) in [
            ("3.0.20", false, false),
            ("3.1.0-alpha", false, false),
            ("3.1.0-beta.1", false, false),
            ("3.1.0-beta.2", true, false),
            ("3.1.0-beta.10", true, false),
            ("3.1.0-rc", true, false),
            ("v3.1.0", true, false),
            ("4.0.16", true, false),
            ("5.2.4", true, false),
            ("5.3.0", true, true),
            ("\"v6.5.0\"\n", true, true),
            ("5.7.25-TiDB-v7.1.1", true, true),
            ("5.7.25-TiDB-v2.1.1", false, false),
            ("8.5.0-alpha-12-gabcdef", true, true),
        ] {
            for (encrypt, accepted) in [(false, plain), (true, encrypted)] {
                let answer = check_cluster(version, encrypt);
                assert_eq!(answer.as_ref().is_ok_and(Vec::is_empty), accepted, "{version}, encrypted {encrypt}: {answer:?}");
                if let Err(error) = answer {
                    assert!(*error.code() == codes::VERSION && error.message().contains(version), "{error}");
                }
            }
        }
        for odd in ["", "nightly", "6.5", "v"] {
            assert_eq!(check_cluster(odd, true).unwrap().len(), 1, "{odd}");
        }
    }

    #[test]
    fn backups_are_refused_from_two_major_versions_above() {
        for (backup, cluster, accepted) in [
            ("6.5.0", "6.5.0", true),
            ("6.5.0", "5.0.0", true),
            ("6.5.0", "4.0.16", false),
            ("8.1.0", "7.5.1", true),
            ("8.1.0", "6.5.0", false),
            ("4.0.0", "8.5.0", true),
        ] {
            let answer = check_restore(backup, cluster, None);
            assert_eq!(answer.is_ok(), accepted, "{backup} into {cluster}: {answer:?}");
            if let Err(error) = answer {
                assert_eq!(*error.code(), codes::VERSION);
                let least = format!("{}.0.0 and later", parse(backup).unwrap().major - 1);
                assert!([backup, cluster, &least].iter().all(|part| error.message().contains(part)), "{error}");
            }
        }
    }

    #[test]
    fn what_the_documents_do_not_promise_is_a_warning() {
        for (backup, cluster, promised) in [
            ("5.4.0", "6.5.0", true),
            ("6.0.0", "6.6.0", true),
            ("6.0.0", "7.1.0", false),
            ("6.5.0", "6.0.0", true),
            ("6.5.0", "7.1.0", true),
            ("6.5.0", "7.5.0", false),
            ("7.1.0", "7.1.5", true),
            ("7.1.0", "7.5.0", false),
            ("7.5.0", "7.5.0", true),
            ("7.5.0", "8.5.0", true),
            ("8.1.0", "7.5.0", false),
            ("8.1.0", "8.5.0", true),
            ("8.5.0", "8.1.0", false),
            ("8.5.0", "8.5.2", true),
        ] {
            let warnings = check_restore(backup, cluster, None).unwrap();
            assert_eq!(warnings.is_empty(), promised, "{backup} into {cluster}: {warnings:?}");
        }
        assert!(check_restore("?", "6.5.0", None).unwrap()[0].contains("backup, `?`"));
        assert!(check_restore("6.5.0", "?", None).unwrap()[0].contains("cluster, `?`"));
    }

    #[test]
    fn other_collations_than_the_clusters_default_are_a_warning() {
        for (has, cluster, suits) in [
            (Some("True"), "6.1.0", true),
            (Some("False"), "6.1.0", false),
            (Some("True"), "5.4.0", false),
            (Some("False"), "5.4.0", true),
            (Some(""), "6.1.0", true),
            (None, "6.1.0", true),
        ] {
            let warnings = check_restore("6.1.0", cluster, has).unwrap();
            let told = warnings.iter().any(|warning| warning.contains("new_collations_enabled"));
            assert_eq!(told, !suits, "{has:?} into {cluster}: {warnings:?}");
        }
    }
}
