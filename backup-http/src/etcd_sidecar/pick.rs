//! Which of a cluster's backups a request means.

use std::sync::Arc;

use backup_core::repository::BackupInfo;

use super::naming::FileName;

/// The highest revision of the newest history, `None` when there is no good backup. `backups` is ordered by id.
///
/// A lower revision than that of the backup before, or another cluster id, begins a new history. So of our own backups it is the last.
/// A file that the original left belongs to no known history, and its time may be that of a copy: such files count as one history, the
/// highest revision standing for it, and one younger than our last backup goes before that only with a higher revision.
pub(super) fn latest(backups: &[Arc<BackupInfo>]) -> Option<&Arc<BackupInfo>> {
    let good = || backups.iter().filter_map(|info| good(info).map(|name| (name.revision, info)));
    let own = good().rfind(|(_, info)| info.published_at.is_some());
    let younger = |info: &BackupInfo| own.is_none_or(|(_, own)| info.id > own.id);
    let adopted = good().filter(|(_, info)| info.published_at.is_none() && younger(info));
    let adopted = adopted.max_by(|(a, info_a), (b, info_b)| (a, &info_a.id).cmp(&(b, &info_b.id)));
    match (own, adopted) {
        (Some((own, info)), Some((adopted, _))) if own >= adopted => Some(info),
        (_, Some((_, info))) | (Some((_, info)), None) => Some(info),
        (None, None) => None,
    }
}

/// The backup of this revision whose file has this version: as a whole, or without the mark `+h<n>`; the newest good one then.
pub(super) fn exactly<'a>(backups: &'a [Arc<BackupInfo>], version: &str, revision: i64) -> Option<&'a Arc<BackupInfo>> {
    let revision = u64::try_from(revision).ok()?;
    let is_it = |info: &BackupInfo| {
        good(info).is_some_and(|name| name.revision == revision && (name.version == version || name.plain_version() == version))
    };
    backups.iter().rfind(|info| is_it(info))
}

fn good(info: &BackupInfo) -> Option<FileName<'_>> {
    FileName::of(info).filter(|_| info.is_good())
}
