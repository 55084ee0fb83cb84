//! Removing the segments that writers that died left behind. See [`record`](super::record) for why none that is in use is hit.

use backup_core::error::codes;
use backup_core::store::{SweepOptions, SweepReport};
use backup_core::{Error, JobContext, JobId, Result};
use chrono::{DateTime, Utc};

use super::account::{Account, Shared};
use super::place::{Place, Upload};

pub(super) async fn sweep(account: &Shared, cx: &JobContext, options: &SweepOptions) -> Result<SweepReport> {
    let mut report = SweepReport::default();
    let old = |modified: Option<DateTime<Utc>>| modified.is_some_and(|modified| modified < options.older_than);
    for (upload, owner, modified) in uploads(account, cx, &account.places.records()).await? {
        if !old(modified) || options.keep.contains(&owner) {
            continue;
        }
        cx.check()?;
        match account.sweep_one(cx, &upload).await {
            Ok(removed) => report.removed += u64::from(removed),
            Err(error) => report.failed.push(error),
        }
    }
    // A mark outlives its upload by the time after which a writer counts as dead.
    for (upload, _, modified) in uploads(account, cx, &account.places.marks()).await? {
        let place = account.places.mark(&upload);
        if !old(modified) || account.record(cx, &upload).await?.is_some() {
            continue;
        }
        if let Err(error) = account.remove(cx, &place).await {
            report.failed.push(error);
        }
    }
    Ok(report)
}

/// The uploads whose records or marks lie here; names that this store does not make are somebody else's.
async fn uploads(account: &Account, cx: &JobContext, place: &Place) -> Result<Vec<(Upload, JobId, Option<DateTime<Utc>>)>> {
    let lines = account.lines(cx, place).await?;
    let upload = |name: &str| Upload::of(name.strip_prefix(&place.name)?);
    let known = lines.iter().filter_map(|line| {
        let (upload, owner) = upload(line.name.as_deref()?)?;
        Some((upload, owner, line.modified()))
    });
    Ok(known.collect())
}

/// Removes what is left of one upload, whose writer is known to be dead.
pub(super) async fn give_up(account: &Shared, cx: &JobContext, upload: &str) -> Result<()> {
    let unknown = || Error::new(&codes::INPUT_INVALID, format!("{upload:?} names no upload of this store"));
    let (upload, _) = Upload::of(upload).ok_or_else(unknown)?;
    if account.sweep_one(cx, &upload).await? {
        tracing::info!(upload = upload.name(), "the segments of an unfinished upload were removed");
    }
    // Nobody comes back from the dead to see it.
    account.remove(cx, &account.places.mark(&upload)).await.map(drop)
}

impl Account {
    /// `true` when there were left-overs.
    async fn sweep_one(&self, cx: &JobContext, upload: &Upload) -> Result<bool> {
        let doing = |error: Error| error.context("sweeping an unfinished upload");
        // A listing may show what is gone already.
        let Some(record) = self.record(cx, upload).await.map_err(doing)? else { return Ok(false) };
        let object = self.places.object(&record.key)?;
        self.put_own(cx, &self.places.mark(upload), bytes::Bytes::new()).await.map_err(doing)?;
        let finished = self.names(cx, &object, upload).await.map_err(doing)?;
        if !finished {
            self.remove_segments(cx, upload, 0).await.map_err(doing)?;
        }
        self.remove(cx, &self.places.record(upload)).await.map_err(doing)?;
        Ok(!finished)
    }
}
