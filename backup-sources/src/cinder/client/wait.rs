//! Waiting until something is in a state, or gone. Cinder pushes nothing: it is asked again and again.

use std::future::Future;
use std::time::Duration;

use backup_core::error::codes as core_codes;
use backup_core::event::Event;
use backup_core::{Error, JobContext, Result, Retry};

use super::super::codes;
use super::{Cinder, Snapshot, Volume};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);

/// How long Cinder is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// At least so long.
    pub floor: Duration,
    /// And so much for each GiB: drivers that copy files are slow.
    pub per_gib: Duration,
}

impl Default for Patience {
    /// Five minutes, and 100 s for each GiB: 10 MiB a second.
    fn default() -> Self {
        Self { floor: Duration::from_secs(300), per_gib: Duration::from_secs(100) }
    }
}

impl Patience {
    /// For a volume of so many GiB.
    pub fn limit(&self, gib: u64) -> Duration {
        self.floor.saturating_add(self.per_gib.saturating_mul(u32::try_from(gib).unwrap_or(u32::MAX)))
    }
}

/// What a look at it says.
enum Look<T> {
    Done(T),
    /// The state in which it is.
    NotYet(String),
}

impl Cinder {
    /// Waits until a volume is in the state `wanted`, and gives it back.
    ///
    /// # Behavior
    /// Asks every second first, and every five later. While Cinder does not answer, it is asked on.
    ///
    /// # Errors
    /// `cinder.error_state` as soon as its state is one of error; `cinder.not_found` when it is gone; `cinder.slow` after what `patience`
    /// says; as every call.
    pub async fn wait_for_volume(&self, cx: &JobContext, id: &str, wanted: &str, patience: Patience) -> Result<Volume> {
        let look = || async {
            let volume = self.volume(cx, id).await?;
            look_at(volume.status.clone(), wanted, "volume", id, volume)
        };
        poll(cx, &format!("waiting for the volume {id} to be {wanted}"), patience, self.gib_of(cx, id).await?, look).await
    }

    /// Waits until a snapshot is `available`, and gives it back.
    ///
    /// # Errors
    /// As [`Cinder::wait_for_volume`].
    pub async fn wait_for_snapshot(&self, cx: &JobContext, id: &str, patience: Patience) -> Result<Snapshot> {
        let gib = self.snapshot(cx, id).await?.size;
        let look = || async {
            let snapshot = self.snapshot(cx, id).await?;
            look_at(snapshot.status.clone(), "available", "snapshot", id, snapshot)
        };
        poll(cx, &format!("waiting for the snapshot {id}"), patience, gib, look).await
    }

    /// Waits until a volume that is being deleted is gone; one that is gone already is fine.
    ///
    /// # Errors
    /// As [`Cinder::wait_for_volume`].
    pub async fn wait_until_volume_gone(&self, cx: &JobContext, id: &str, patience: Patience) -> Result<()> {
        let Some(volume) = gone(self.volume(cx, id).await)? else { return Ok(()) };
        let look = || async {
            match gone(self.volume(cx, id).await)? {
                None => Ok(Look::Done(())),
                Some(volume) => deleting("volume", id, volume.status),
            }
        };
        poll(cx, &format!("waiting for the volume {id} to be gone"), patience, volume.size, look).await
    }

    /// Waits until a snapshot that is being deleted is gone; one that is gone already is fine.
    ///
    /// # Errors
    /// As [`Cinder::wait_for_volume`].
    pub async fn wait_until_snapshot_gone(&self, cx: &JobContext, id: &str, patience: Patience) -> Result<()> {
        let Some(snapshot) = gone(self.snapshot(cx, id).await)? else { return Ok(()) };
        let look = || async {
            match gone(self.snapshot(cx, id).await)? {
                None => Ok(Look::Done(())),
                Some(snapshot) => deleting("snapshot", id, snapshot.status),
            }
        };
        poll(cx, &format!("waiting for the snapshot {id} to be gone"), patience, snapshot.size, look).await
    }

    async fn gib_of(&self, cx: &JobContext, id: &str) -> Result<u64> {
        Ok(self.volume(cx, id).await?.size)
    }
}

/// `None` for what is not there.
pub(in super::super) fn gone<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == &codes::NOT_FOUND => Ok(None),
        Err(error) => Err(error),
    }
}

fn look_at<T>(status: String, wanted: &str, what: &str, id: &str, found: T) -> Result<Look<T>> {
    if status == wanted {
        return Ok(Look::Done(found));
    }
    if is_error(&status) || status.ends_with("deleting") || status == "deleted" {
        let text = format!("the {what} {id} is in the state `{status}` instead of `{wanted}`");
        return Err(Error::new(&codes::ERROR_STATE, text));
    }
    Ok(Look::NotYet(status))
}

fn deleting<T>(what: &str, id: &str, status: String) -> Result<Look<T>> {
    if is_error(&status) {
        return Err(Error::new(&codes::ERROR_STATE, format!("the {what} {id} could not be deleted: its state is `{status}`")));
    }
    // A driver that finds it in use gives it back as it was.
    if status == "available" {
        return Err(Error::new(&codes::STATE, format!("the {what} {id} was not deleted: it is `available` again")));
    }
    Ok(Look::NotYet(status))
}

/// A state that does not change by itself.
fn is_error(status: &str) -> bool {
    status.starts_with("error")
}

async fn poll<T, F>(cx: &JobContext, doing: &str, patience: Patience, gib: u64, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Look<T>>> + Send,
{
    let limit = patience.limit(gib);
    let until = cx.clock().monotonic().saturating_add(limit);
    let (mut pause, mut state) = (FIRST, String::new());
    loop {
        match look().await {
            Ok(Look::Done(done)) => return Ok(done),
            Ok(Look::NotYet(now)) => {
                if now != state {
                    cx.event(Event::Step { name: format!("{doing}: it is {now}"), percent: None });
                    state = now;
                }
            }
            Err(error) if passes(cx, &error) => tracing::debug!(%error, "{doing}: asking on"),
            Err(error) => return Err(error),
        }
        if cx.clock().monotonic() >= until {
            let text = format!("{doing}: it is still {state} after {} s", limit.as_secs());
            return Err(Error::new(&codes::SLOW, text));
        }
        cx.sleep(pause).await?;
        pause = pause.mul_f64(1.5).min(LONGEST);
    }
}

/// Whether it is only that Cinder or Keystone cannot answer now.
fn passes(cx: &JobContext, error: &Error) -> bool {
    cx.check().is_ok()
        && error.retry() == Retry::Later
        && error.code() != &codes::ERROR_STATE
        && error.code() != &core_codes::JOB_CANCELLED
        && error.code() != &core_codes::JOB_DEADLINE
}
