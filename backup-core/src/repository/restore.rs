//! A restore: the source brings a published backup back.

use super::Repository;
use crate::context::JobContext;
use crate::error::{Result, ResultExt};
use crate::event::{Event, Phase};
use crate::name::{BackupId, SetName};
use crate::source::{RestoreReport, RestoreTarget, Source};

impl Repository {
    /// Lets `source` bring a backup back to `target`. Every byte is checked before the source sees it.
    ///
    /// # Errors
    /// Those of [`Repository::open`] and of the source. The effect says what became of the target.
    pub async fn restore(
        &self,
        cx: &JobContext,
        source: &dyn Source,
        set: &SetName,
        id: &BackupId,
        target: &RestoreTarget,
    ) -> Result<RestoreReport> {
        let doing = || format!("restoring backup {id} of {set}");
        cx.event(Event::Phase(Phase::Restoring));
        let reader = self.open(cx, set, id).await.context(doing)?;
        cx.progress().expect(reader.packed().size());
        source.restore(cx, &reader, target).await.context(doing)
    }
}
