//! Whether the source has moved since the previous backup.

use std::time::Duration;

use super::Repository;
use super::info::BackupInfo;
use crate::context::JobContext;
use crate::error::Result;
use crate::source::Probe;

/// True when the previous backup still says it all: same instance, same revision, both exact, not too old, and its
/// objects still there. (That no verify found it damaged is known already: it is the newest good one.)
pub(crate) async fn is_unchanged(
    repository: &Repository,
    cx: &JobContext,
    probe: &Probe,
    previous: &BackupInfo,
    max_age: Option<Duration>,
) -> Result<bool> {
    let same_instance = probe.identity.is_some() && probe.identity == previous.identity;
    let same_revision = match (&probe.revision, &previous.revision) {
        (Some(now), Some(then)) => now.is_same_exact(then),
        _ => false,
    };
    // A backup from the future has no age: its clock or ours is wrong, and a limit must not be stretched by that.
    let age = (cx.clock().now() - previous.created_at).to_std().ok();
    if !same_instance || !same_revision || max_age.is_some_and(|limit| age.is_none_or(|age| age > limit)) {
        return Ok(false);
    }
    repository.is_there(cx, previous).await
}

/// A warning when the source stands before the previous backup or is another instance: its history is another one.
pub(crate) fn other_history(probe: &Probe, previous: &BackupInfo) -> Option<String> {
    if let (Some(now), Some(then)) = (&probe.identity, &previous.identity)
        && now != then
    {
        return Some(format!("the source is {now} now; the previous backup {} is of {then}", previous.id));
    }
    match (&probe.revision, &previous.revision) {
        (Some(now), Some(then)) if now.is_before(then) => Some(format!(
            "the source stands at revision {now}, before the {then} of the previous backup {}: another history",
            previous.id
        )),
        _ => None,
    }
}
