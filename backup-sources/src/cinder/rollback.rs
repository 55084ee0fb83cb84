//! A volume set back to one of its snapshots, whichever it is.

use backup_core::{Effect, Error, JobContext, Result};

use super::client::{Patience, check_id, gone};
use super::codes;
use super::restore::Held;
use super::source::CinderSource;
use super::temporary::{OWNER, ROLE, Role, half_unmarked};

pub(super) async fn rollback(source: &CinderSource, cx: &JobContext, volume: &str, snapshot: &str) -> Result<()> {
    let (volume, snapshot) = (check_id("volume", volume)?, check_id("snapshot", snapshot)?);
    let shown = source.cinder.volume(cx, volume).await?;
    let wanted = source.cinder.snapshot(cx, snapshot).await?;
    if wanted.volume_id != volume {
        return Err(Error::new(&codes::NOT_FOUND, format!("the snapshot {snapshot} is none of the volume {volume}")));
    }
    if !matches!(shown.status.as_str(), "available" | "in-use") || wanted.status != "available" {
        let (volume_is, snapshot_is) = (&shown.status, &wanted.status);
        let text = format!("the volume {volume} is `{volume_is}`, and the snapshot {snapshot} is `{snapshot_is}`");
        return Err(Error::new(&codes::STATE, text));
    }
    // The backend would make the volume smaller, and Cinder would not know.
    if wanted.size != shown.size {
        let text = format!("the volume {volume} has {} GiB, and had {} when the snapshot was made", shown.size, wanted.size);
        return Err(Error::new(&codes::REFUSED, text));
    }
    let held = Held::take(source, cx, &shown).await?;
    let done = source.access.rollback(cx, volume, snapshot).await;
    // What had no effect leaves the volume as it was.
    let broken = done.as_ref().err().filter(|error| error.effect() != Effect::None);
    let warnings = held.release(source, cx, broken).await?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    done
}

/// Ends our hold of a volume; see [`CinderSource::end_rollback`].
pub(super) async fn end(source: &CinderSource, cx: &JobContext, id: &str, failed: Option<&str>) -> Result<bool> {
    let (cinder, id) = (&source.cinder, check_id("volume", id)?);
    let Some(volume) = gone(cinder.volume(cx, id).await)? else { return Ok(true) };
    let ours = volume.metadata.get(OWNER).is_some_and(|owner| *owner == source.options.owner);
    let role = volume.metadata.get(ROLE).filter(|_| ours).and_then(|role| Role::of(role));
    match (role, failed) {
        _ if half_unmarked(&volume.metadata, &source.options.owner) => cinder.unmark(cx, id).await?,
        (Some(Role::Restored), _) => cinder.give_back(cx, id, None).await?,
        (Some(Role::Overwriting), Some(why)) => cinder.give_back(cx, id, Some(why)).await?,
        (Some(Role::Overwriting), None) => {
            if cinder.detach_unfinished(cx, id, &[]).await? > 0 {
                cinder.wait_for_volume(cx, id, "available", Patience::default()).await?;
            }
            return Ok(false);
        }
        _ => {}
    }
    Ok(true)
}
