//! Removing what writers that died left behind.

use std::sync::Arc;

use backup_core::store::{SweepOptions, SweepReport};
use backup_core::{Error, JobContext, Result};
use futures::TryStreamExt;

use super::bucket::{Bucket, meta};
use super::list::names;
use super::multipart::Upload;
use super::names::Note;

pub(super) async fn sweep(bucket: &Arc<Bucket>, cx: &JobContext, options: &SweepOptions) -> Result<SweepReport> {
    let mut report = SweepReport::default();
    let reserved = bucket.names.reserved();
    let mut listed = names(Arc::clone(bucket), cx.clone(), reserved.clone(), None);
    while let Some((name, metadata)) = listed.try_next().await? {
        // Names that this store does not make are somebody else's.
        let Some(note) = name.strip_prefix(&reserved).and_then(Note::of) else { continue };
        if modified(&metadata).is_none_or(|modified| modified >= options.older_than) {
            continue;
        }
        let removed = match note {
            Note::Upload(job) if options.keep.contains(&job) => continue,
            Note::Upload(_) => bucket.sweep_upload(cx, &name).await,
            Note::Probe => bucket.remove_reserved(cx, &name).await,
        };
        match removed {
            Ok(()) => report.removed += 1,
            Err(error) => {
                cx.check()?;
                report.failed.push(error.context(format!("sweeping `{name}`")));
            }
        }
    }
    Ok(report)
}

fn modified(metadata: &opendal::Metadata) -> Option<chrono::DateTime<chrono::Utc>> {
    // Any key will do: only the time is wanted.
    backup_core::ObjectKey::new("x").ok().and_then(|key| meta(key, metadata).modified)
}

impl Bucket {
    async fn sweep_upload(self: &Arc<Self>, cx: &JobContext, note: &str) -> Result<()> {
        if let Some(said) = self.read_note(cx, note).await? {
            match said.upload {
                Some(id) => Upload { wire: self.wire.clone(), name: said.object, id }.abort(cx).await?,
                None => self.abort_unnamed(cx, note, &said.object).await?,
            }
        }
        self.remove_reserved(cx, note).await
    }

    /// Aborts the uploads of `object` that no other note names: those that a writer began and died before it could say so.
    pub(super) async fn abort_unnamed(self: &Arc<Self>, cx: &JobContext, note: &str, object: &str) -> Result<()> {
        let uploads = match Upload::of(&self.wire, cx, object).await {
            Ok(uploads) => uploads,
            Err(error) if error.code() == &super::codes::S3_UNSUPPORTED => {
                tracing::warn!(
                    object,
                    "the server cannot list uploads; if one was begun, a lifecycle rule of the bucket has to end it"
                );
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if uploads.is_empty() {
            return Ok(());
        }
        let named = self.named_uploads(cx, note, object).await?;
        for upload in uploads {
            if !named.contains(&upload.id) {
                upload.abort(cx).await?;
            }
        }
        Ok(())
    }

    /// The uploads of `object` that notes besides `but` name.
    async fn named_uploads(self: &Arc<Self>, cx: &JobContext, but: &str, object: &str) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        let mut listed = names(Arc::clone(self), cx.clone(), self.names.reserved(), None);
        while let Some((name, _)) = listed.try_next().await? {
            if name == but
                || !name.strip_prefix(&self.names.reserved()).is_some_and(|name| matches!(Note::of(name), Some(Note::Upload(_))))
            {
                continue;
            }
            if let Some(said) = self.read_note(cx, &name).await?
                && said.object == object
            {
                found.extend(said.upload);
            }
        }
        Ok(found)
    }
}
