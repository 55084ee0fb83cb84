//! Which versions go together.
//!
//! Source: `br/pkg/version` of TiDB for what BR refuses, TiDB's documents ("Backup & Restore Overview") for what it does not promise.

use backup_core::{Error, Result};
use semver::Version;

use super::codes;

/// TiKV can be backed up since then.
const OLDEST: Version = Version::new(3, 1, 0);

/// What BR needs of a cluster, whatever it shall do. What cannot be known is a warning.
///
/// # Errors
/// `br.version`.
pub(super) fn check_cluster(text: &str, encrypted: bool) -> Result<Vec<String>> {
    let Some(cluster) = parse(text) else { return Ok(vec![unreadable("cluster", text)]) };
    // The betas of that one could do it from the second on.
    let beta = (cluster.major, cluster.minor, cluster.patch) == (3, 1, 0) && cluster.pre.as_str() >= "beta.2";
    if cluster < OLDEST && !beta {
        return refuse(format!("the cluster has version {text}, and BR works with 3.1.0-beta.2 and later"));
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
fn parse(text: &str) -> Option<Version> {
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
