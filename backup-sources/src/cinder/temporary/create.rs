//! Making something once, also when an answer was lost.

use std::time::Duration;

use backup_core::{Effect, Error, JobContext, Result};

use super::super::client::{Cinder, CreateVolume, NewSnapshot, Snapshot, Volume, VolumeFilter};
use super::leftovers::LeftoverKind;
use super::mark::{KEY, Mark};

/// How often something is asked for.
pub(super) const ATTEMPTS: u32 = 3;

/// When it is looked whether an order whose answer was lost was taken: Cinder may still be at it.
const LOOKS: [Duration; 4] = [Duration::ZERO, Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

impl Cinder {
    /// Orders a marked snapshot, exactly once: when an answer was lost, it is looked for by its mark before it is ordered again.
    ///
    /// # Errors
    /// As [`Cinder::create_snapshot`]. With the effect `unknown` it may be there, with its mark.
    pub async fn make_snapshot(&self, cx: &JobContext, mark: &Mark, mut order: NewSnapshot) -> Result<Snapshot> {
        order.metadata.extend(mark.metadata());
        let make = || async { Ok(self.create_snapshot(cx, &order).await?.id) };
        let id = self.once(cx, LeftoverKind::Snapshot, mark, make).await?;
        self.snapshot(cx, &id).await
    }

    /// Orders a marked volume, exactly once, as [`Cinder::make_snapshot`] does.
    ///
    /// # Errors
    /// As [`Cinder::create_volume`]. With the effect `unknown` it may be there, with its mark.
    pub async fn make_volume(&self, cx: &JobContext, mark: &Mark, mut order: CreateVolume) -> Result<Volume> {
        order.metadata.extend(mark.metadata());
        let make = || async { Ok(self.create_volume(cx, &order).await?.id) };
        let id = self.once(cx, LeftoverKind::Volume, mark, make).await?;
        self.volume(cx, &id).await
    }

    async fn once<F>(&self, cx: &JobContext, kind: LeftoverKind, mark: &Mark, make: impl Fn() -> F) -> Result<String>
    where
        F: Future<Output = Result<String>> + Send,
    {
        let mut lost: Option<Error> = None;
        for _ in 0..ATTEMPTS {
            match make().await {
                Ok(id) if lost.is_none() => return Ok(id),
                Ok(id) => {
                    // The order before was taken after all, only later.
                    for twin in self.marked(cx, kind, mark).await?.into_iter().filter(|twin| *twin != id) {
                        self.remove_thing(cx, kind, &twin).await?;
                    }
                    return Ok(id);
                }
                Err(error) if error.effect() == Effect::Unknown && cx.check().is_ok() => {
                    tracing::warn!(%error, "whether it was made is not known; looking for it");
                    if let Some(id) = self.look_for(cx, kind, mark).await? {
                        return Ok(id);
                    }
                    lost = Some(error);
                }
                Err(error) if lost.is_some() && error.effect() == Effect::None => return Err(error.with_effect(Effect::Unknown)),
                Err(error) => return Err(error),
            }
        }
        Err(lost.unwrap_or_else(|| Error::new(&backup_core::error::codes::INTERNAL, "nothing was attempted")))
    }

    /// What carries this mark, given some time to appear.
    pub(super) async fn look_for(&self, cx: &JobContext, kind: LeftoverKind, mark: &Mark) -> Result<Option<String>> {
        for pause in LOOKS {
            cx.sleep(pause).await?;
            if let Some(id) = self.marked(cx, kind, mark).await?.pop() {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    async fn marked(&self, cx: &JobContext, kind: LeftoverKind, mark: &Mark) -> Result<Vec<String>> {
        let mut filter = VolumeFilter::with_metadata(KEY, mark.key());
        filter.all_projects = false;
        Ok(match kind {
            LeftoverKind::Snapshot => self.snapshots(cx, &filter).await?.into_iter().map(|snapshot| snapshot.id).collect(),
            LeftoverKind::Volume => self.volumes(cx, &filter).await?.into_iter().map(|volume| volume.id).collect(),
        })
    }

    /// Ends the attachments of a volume that are not among `others`, for no instance, and in use by nobody; how many there were.
    pub(in super::super) async fn detach_unfinished(&self, cx: &JobContext, volume: &str, others: &[String]) -> Result<usize> {
        let mut ended = 0;
        for attachment in self.attachments(cx, volume).await? {
            let ours = attachment.instance.is_none() && attachment.status != "attached" && !others.contains(&attachment.id);
            if ours {
                self.delete_attachment(cx, &attachment.id).await?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// The same, given some time for what was asked for to appear.
    pub(super) async fn detach_lost(&self, cx: &JobContext, volume: &str, others: &[String]) -> Result<usize> {
        for pause in LOOKS {
            cx.sleep(pause).await?;
            let ended = self.detach_unfinished(cx, volume, others).await?;
            if ended > 0 {
                return Ok(ended);
            }
        }
        Ok(0)
    }
}
