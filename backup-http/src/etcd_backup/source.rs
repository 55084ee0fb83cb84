//! A source whose captures are named after the second in which they begin.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backup_core::{
    BackupReader, Error, Inspection, JobContext, Probe, RestoreReport, RestoreTarget, Result, Sink, Source, Summary, async_trait,
};
use chrono::{DateTime, SubsecRound, Utc};

use super::{codes, naming};

/// So many seconds in a row may be taken before a backup fails.
const SECONDS: usize = 15;

/// Builds the source that writes under this name: `snapshot-20181220_024105`.
type Factory = Box<dyn Fn(&str) -> Result<Arc<dyn Source>> + Send + Sync>;

/// A [`Source`] that decides at each capture what it is called, because a tar names its member before the first byte of it.
///
/// # Behavior
/// A capture takes the second in which it begins, UTC. When the last capture of this process had that second already, or the
/// naming says that its name is taken (after a restart within the second, or when the clock was set back), it waits for the next
/// one, up to 15 times. The factory then builds the source that captures: it writes one artifact called
/// `<name>.tar` with the member `<name>.db`. Everything else is done by a source that the factory built once.
///
/// # Errors
/// Those of the inner source; `etcd_backup.no_name` when all those seconds were taken.
pub struct TimestampedSource {
    factory: Factory,
    any: Arc<dyn Source>,
    last: Mutex<Option<DateTime<Utc>>>,
}

impl TimestampedSource {
    /// Captures with what `factory` builds for each name.
    ///
    /// # Errors
    /// Those of the factory, which is tried once.
    pub fn new(factory: impl Fn(&str) -> Result<Arc<dyn Source>> + Send + Sync + 'static) -> Result<Self> {
        let any = factory(&naming::stem(DateTime::UNIX_EPOCH))?;
        Ok(Self { factory: Box::new(factory), any, last: Mutex::default() })
    }

    /// The second of this capture, once it is another one than that of the last.
    async fn second(&self, cx: &JobContext) -> Result<DateTime<Utc>> {
        loop {
            let now = cx.clock().now();
            let second = now.trunc_subsecs(0);
            if self.take(second) {
                return Ok(second);
            }
            let passed = (now - second).to_std().unwrap_or_default();
            cx.sleep(Duration::from_secs(1).saturating_sub(passed)).await?;
        }
    }

    fn take(&self, second: DateTime<Utc>) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let free = *last != Some(second);
        *last = Some(second);
        free
    }
}

#[async_trait]
impl Source for TimestampedSource {
    fn kind(&self) -> &str {
        self.any.kind()
    }

    async fn probe(&self, cx: &JobContext) -> Result<Probe> {
        self.any.probe(cx).await
    }

    fn open_artifacts(&self) -> usize {
        self.any.open_artifacts()
    }

    async fn capture(&self, cx: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        for _ in 0..SECONDS {
            let name = naming::stem(self.second(cx).await?);
            match (self.factory)(&name)?.capture(cx, sink).await {
                Err(error) if *error.code() == codes::NAME_TAKEN => tracing::debug!(name, "the name is taken"),
                captured => return captured,
            }
        }
        let last = naming::stem(cx.clock().now());
        Err(Error::new(&codes::NO_NAME, format!("{SECONDS} names in a row are taken, up to about {last}")))
    }

    async fn restore(&self, cx: &JobContext, reader: &dyn BackupReader, target: &RestoreTarget) -> Result<RestoreReport> {
        self.any.restore(cx, reader, target).await
    }

    async fn inspect(&self, cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
        self.any.inspect(cx, reader).await
    }
}

impl fmt::Debug for TimestampedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimestampedSource").field("source", &self.any).finish_non_exhaustive()
    }
}
