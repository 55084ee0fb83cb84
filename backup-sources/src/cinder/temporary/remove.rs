//! Removing what was made, while Cinder is restarting too.

use std::time::Duration;

use backup_core::{Error, JobContext, Result, Retry};

use super::super::client::{Cinder, Patience, gone};
use super::super::codes;
use super::leftovers::LeftoverKind;

/// Tries of what Cinder does not want to do, as it is.
const REFUSED: u32 = 5;
const LONGEST: Duration = Duration::from_secs(10);

impl Cinder {
    /// Removes a temporary volume with its attachments, or a snapshot, and returns when it is gone. What is not there is removed.
    ///
    /// # Behavior
    /// Tried again until the context ends while Cinder does not answer, or while the thing is being made or deleted; five times when Cinder
    /// refuses. A volume that stays is reserved.
    ///
    /// # Errors
    /// The last try's.
    pub(super) async fn remove_thing(&self, cx: &JobContext, kind: LeftoverKind, id: &str) -> Result<()> {
        retried(cx, || async {
            match kind {
                LeftoverKind::Volume => self.remove_volume(cx, id).await,
                LeftoverKind::Snapshot => self.remove_snapshot(cx, id).await,
            }
        })
        .await
    }

    async fn remove_volume(&self, cx: &JobContext, id: &str) -> Result<()> {
        let Some(volume) = gone(self.volume(cx, id).await)? else { return Ok(()) };
        if passing(&volume.status) {
            return Err(still("volume", id, &volume.status));
        }
        for attachment in self.attachments(cx, id).await? {
            self.delete_attachment(cx, &attachment.id).await?;
        }
        let removed = async {
            if volume.status != "deleting" {
                self.delete_volume(cx, id).await?;
            }
            self.wait_until_volume_gone(cx, id, Patience::default()).await
        };
        let removed = removed.await;
        // Nobody shall use it meanwhile: whatever is in it is not whole. One that is not `available` cannot be used anyhow.
        if removed.is_err()
            && let Err(error) = self.reserve_volume(cx, id).await
        {
            tracing::debug!(%error, "a volume that could not be deleted is not reserved");
        }
        removed
    }

    async fn remove_snapshot(&self, cx: &JobContext, id: &str) -> Result<()> {
        let Some(snapshot) = gone(self.snapshot(cx, id).await)? else { return Ok(()) };
        if passing(&snapshot.status) {
            return Err(still("snapshot", id, &snapshot.status));
        }
        if snapshot.status != "deleting" {
            self.delete_snapshot(cx, id).await?;
        }
        self.wait_until_snapshot_gone(cx, id, Patience::default()).await
    }
}

/// States that end by themselves, and in which nothing is deleted.
fn passing(status: &str) -> bool {
    matches!(status, "creating" | "detaching" | "downloading" | "uploading" | "backing-up" | "extending" | "retyping")
}

fn still(what: &str, id: &str, status: &str) -> Error {
    Error::new(&codes::SLOW, format!("the {what} {id} cannot be deleted while it is `{status}`"))
}

/// Tries again what may become better, as long as the context lasts.
pub(in super::super) async fn retried<T, F>(cx: &JobContext, attempt: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>> + Send,
{
    let (mut pause, mut refused) = (Duration::from_secs(1), 0);
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        refused += u32::from(error.code() == &codes::STATE || error.code() == &codes::ERROR_STATE);
        let hopeless = error.retry() == Retry::Never || refused >= REFUSED || cx.check().is_err();
        if hopeless || cx.remaining().is_some_and(|left| left <= pause) {
            return Err(error);
        }
        tracing::debug!(%error, "trying again to remove it");
        cx.sleep(pause).await?;
        pause = (pause * 2).min(LONGEST);
    }
}
