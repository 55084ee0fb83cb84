//! Blocking work beside the runtime, and what a cancelled job does with it.

use std::time::Duration;

use backup_core::error::codes;
use backup_core::{Effect, Error, JobContext, Result};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// How long a call with an effect is waited for after its job was cancelled, to learn how it ended.
const SETTLE: Duration = Duration::from_secs(5);

/// Runs work that changes nothing; a cancelled job leaves it to end by itself.
pub(super) async fn look<T: Send + 'static>(cx: &JobContext, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    cx.check()?;
    let task = spawn_blocking(work);
    cx.run(async { flatten(task.await) }).await
}

/// Runs work that changes something: a cancelled job still waits a moment for the true end, and says "unknown" only
/// when there is none (a disk that hangs).
pub(super) async fn change<T: Send + 'static>(cx: &JobContext, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    cx.check()?;
    let mut task = spawn_blocking(work);
    let interrupted = match cx.run(async { Ok((&mut task).await) }).await {
        Ok(ended) => return flatten(ended),
        Err(interrupted) => interrupted,
    };
    match cx.for_cleanup(SETTLE).run(async { Ok(task.await) }).await {
        Ok(ended) => flatten(ended),
        Err(_) => Err(interrupted.with_effect(Effect::Unknown)),
    }
}

/// Waits for a task started earlier.
pub(super) async fn wait<T>(cx: &JobContext, task: JoinHandle<Result<T>>) -> Result<T> {
    cx.run(async { flatten(task.await) }).await
}

fn flatten<T>(ended: Result<Result<T>, JoinError>) -> Result<T> {
    ended.unwrap_or_else(|error| {
        let text = "a blocking task of the file store panicked, or the runtime is shutting down";
        Err(Error::new(&codes::INTERNAL, text).with_effect(Effect::Unknown).with_source(error))
    })
}
