//! A backup, from the lease to the published manifest.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Map;

use super::intent::IntentKeeper;
use super::packed::Artifacts;
use super::publish::publish;
use super::request::{BackupOutcome, BackupRequest, SkipReason};
use super::sink::{EngineSink, SinkParts, root_cause};
use super::{Repository, artifacts, external, inventory, taken, unchanged};
use crate::codec::ChunkEncoder;
use crate::context::JobContext;
use crate::error::{Error, Result, ResultExt, codes};
use crate::event::{Event, Phase};
use crate::key::KeyPrefix;
use crate::lease::Lease;
use crate::manifest::{Artifact, Compression, Inventory, Manifest, SourceInfo};
use crate::name::BackupId;
use crate::naming;
use crate::pipeline;
use crate::record::Intent;
use crate::source::{Probe, Source, Summary};
use crate::store::StoreExt;

/// How long cleaning up after a failure may take; what is left then is the janitor's.
pub(crate) const CLEANUP_LIMIT: Duration = Duration::from_secs(60);

impl Repository {
    /// Backs up `source` into a set.
    ///
    /// # Errors
    /// Nothing was published when the effect is none. `publish.unsettled` leaves it open: the backup is either whole and listed, or not there.
    ///
    /// # Cancel safety
    /// Cancel the context instead of dropping the future: a dropped one leaves its unfinished objects to the janitor.
    pub async fn backup(&self, cx: &JobContext, source: &dyn Source, request: &BackupRequest) -> Result<BackupOutcome> {
        // What goes wrong within is stopped by a cancel of its own: the caller's job may go on with something else.
        self.backup_steps(&cx.child(), source, request).await.context(|| format!("backing up {}", request.set))
    }

    /// Says what of the promises this store cannot keep.
    fn warn_of_missing(&self, cx: &JobContext, request: &BackupRequest) {
        let capabilities = self.store().capabilities();
        if !capabilities.conditional_create {
            cx.event(Event::Warning(
                "the store cannot create an object only if it is absent: two processes that back up one set at the same time are kept apart by \
                 their shared state alone"
                    .into(),
            ));
        }
        if request.retain_until.is_some() && !capabilities.retention_lock {
            cx.event(Event::Warning("the store cannot lock objects: `retain_until` binds this software alone".into()));
        }
    }

    async fn backup_steps(&self, cx: &JobContext, source: &dyn Source, request: &BackupRequest) -> Result<BackupOutcome> {
        let encoder = ChunkEncoder::new(request.compression, request.level)?;
        self.warn_of_missing(cx, request);

        cx.event(Event::Phase(Phase::Waiting));
        let lease = self.leases().acquire(cx, &request.set, request.wait).await?;

        cx.event(Event::Phase(Phase::Probing));
        let probe = source.probe(cx).await?;
        let mut history = None;
        let newest = self.newest_good(cx, &request.set).await?;
        if let Some(previous) = &newest {
            if request.skip_unchanged && unchanged::is_unchanged(self, cx, &probe, previous, request.max_skip_age).await? {
                return Ok(BackupOutcome::Skipped(Arc::clone(previous), SkipReason::Unchanged));
            }
            history = unchanged::other_history(&probe, previous);
        }

        cx.event(Event::Phase(Phase::Waiting));
        let working_set = pipeline::working_set(&**self.store(), encoder.as_ref(), probe.size_hint, source);
        let _memory = self.budget().reserve(cx, working_set).await?;

        let last_id = self.newest_id(cx, &request.set).await?;
        let created_at = cx.clock().now();
        let id = BackupId::after(last_id.as_ref(), created_at, &*cx.environment().random);
        let prefix = match &request.directory {
            Some(directory) => taken::free_directory(self, cx, &request.set, directory).await?,
            None => naming::own_prefix(&request.set, &id)?,
        };
        let run = Run { repository: self, cx, request, source, lease: &*lease, id, prefix, created_at, history };
        let (manifest, notes) = run.capture_and_publish(probe, encoder).await?;

        let warnings: Vec<_> = manifest.warnings.iter().cloned().chain(notes).collect();
        let info = self.catalogue().insert(self.info(&manifest));
        warnings.iter().for_each(|warning| cx.event(Event::Warning(warning.clone())));
        Ok(if warnings.is_empty() {
            BackupOutcome::Completed(info)
        } else {
            BackupOutcome::CompletedWithWarnings(info, warnings)
        })
    }
}

/// One backup that is being made.
struct Run<'a> {
    repository: &'a Repository,
    cx: &'a JobContext,
    request: &'a BackupRequest,
    source: &'a dyn Source,
    lease: &'a dyn Lease,
    id: BackupId,
    /// What belongs to this backup alone.
    prefix: KeyPrefix,
    created_at: DateTime<Utc>,
    /// Said of a source whose history is not that of the previous backup.
    history: Option<String>,
}

impl Run<'_> {
    async fn capture_and_publish(&self, probe: Probe, encoder: Option<ChunkEncoder>) -> Result<(Manifest, Vec<String>)> {
        let intent = Arc::new(self.declare_intent().await?);
        let sink = self.sink(&probe, encoder, &intent)?;

        let parents = match self.check_parents().await {
            Ok(parents) => parents,
            Err(error) => return Err(self.give_up(error, &sink, &intent).await),
        };
        let captured = self.capture(&sink, &intent).await;
        let closed = sink.check_closed();
        if closed.is_err() {
            // A writer that the source still holds somewhere would keep its task, and us, waiting for ever.
            self.cx.cancel_token().cancel();
        }
        let settled = sink.settle().await;
        let captured = match (captured, closed, settled) {
            (Ok(summary), Ok(()), Ok(())) => self.manifest(summary, probe, &sink).await.and_then(|manifest| {
                parents.iter().try_for_each(|parent| one_history(&manifest.source, parent))?;
                Ok(manifest)
            }),
            (Err(error), _, settled) => Err(root_cause(error, settled)),
            (Ok(_), Err(error), _) | (Ok(_), Ok(()), Err(error)) => Err(error),
        };
        let manifest = match captured {
            Ok(manifest) => manifest,
            Err(error) => return Err(self.give_up(error, &sink, &intent).await),
        };

        self.cx.event(Event::Phase(Phase::Publishing));
        if let Err(error) = self.may_publish(&intent).await {
            return Err(self.give_up(error, &sink, &intent).await);
        }
        // From here on a cancel comes too late: an interrupted put would leave open what happened.
        let cx = self.cx.for_cleanup(CLEANUP_LIMIT);
        if let Err(error) = publish(&**self.repository.store(), &cx, &manifest).await {
            // Only where nothing can have been stored, and nobody else has decided, the artifacts are still ours to remove.
            let ours = error.effect() == crate::Effect::None && error.kind() != crate::ErrorKind::Conflict;
            return Err(if ours { self.give_up(error, &sink, &intent).await } else { error });
        }
        let dropped = intent.drop_all(&cx).await;
        let note = dropped.err().map(|error| format!("the intent is left to the janitor: {error}"));
        Ok((manifest, note.into_iter().collect()))
    }

    /// Looks for the parents once the intent names them: from here on no removal begins, and one that began before left its tombstone, or
    /// no manifest. What they were made of.
    async fn check_parents(&self) -> Result<Vec<SourceInfo>> {
        let set = &self.request.set;
        let mut sources = Vec::new();
        for parent in &self.request.parents {
            let tombstone = crate::layout::tombstone_key(set, parent)?;
            if self.repository.store().head_opt(self.cx, &tombstone).await?.is_some() {
                let error = Error::new(&codes::BACKUP_NOT_FOUND, format!("the parent {parent} is being removed"));
                return Err(error.with_retry(crate::Retry::Later));
            }
            let manifest = self.repository.manifest(self.cx, set, parent).await.context(|| "looking for a parent".to_owned())?;
            sources.push(manifest.source);
        }
        Ok(sources)
    }

    async fn declare_intent(&self) -> Result<IntentKeeper> {
        let intent = Intent {
            set: self.request.set.clone(),
            id: self.id.clone(),
            job: self.cx.job().clone(),
            manifest: crate::layout::manifest_key(&self.request.set, &self.id)?,
            prefix: self.prefix.clone(),
            artifacts: Vec::new(),
            parents: self.request.parents.clone(),
            created_at: self.created_at,
            expires_at: self.created_at,
            generation: 0,
        };
        IntentKeeper::declare(Arc::clone(self.repository.store()), self.cx, intent, self.repository.intent_ttl()).await
    }

    fn sink(&self, probe: &Probe, encoder: Option<ChunkEncoder>, intent: &Arc<IntentKeeper>) -> Result<EngineSink> {
        Ok(EngineSink::new(SinkParts {
            repository: self.repository.clone(),
            cx: self.cx.clone(),
            set: self.request.set.clone(),
            id: self.id.clone(),
            prefix: self.prefix.clone(),
            created_at: self.created_at,
            probe: probe.clone(),
            compression: self.request.compression,
            encoder,
            retain_until: self.request.retain_until,
            intent: Arc::clone(intent),
            open_artifacts: self.source.open_artifacts(),
        }))
    }

    async fn capture(&self, sink: &EngineSink, intent: &IntentKeeper) -> Result<Summary> {
        self.cx.event(Event::Phase(Phase::Capturing));
        let capture = self.source.capture(self.cx, sink);
        let mut capture = std::pin::pin!(capture);
        let lapsed = tokio::select! {
            summary = &mut capture => return summary,
            error = intent.keep_alive() => error,
        };
        // The source is never dropped in the middle: it is told, and undoes what it did.
        self.cx.cancel_token().cancel();
        match capture.await {
            Ok(_) => Err(lapsed),
            Err(error) if error.kind() == crate::ErrorKind::Cancelled => Err(lapsed),
            Err(error) => Err(error),
        }
    }

    async fn manifest(&self, summary: Summary, probe: Probe, sink: &EngineSink) -> Result<Manifest> {
        let mut artifacts = sink.take_artifacts()?;
        artifacts::check_written(self.repository, self.cx, &self.prefix, &artifacts).await?;
        if sink.went_external() {
            if self.request.retain_until.is_some() {
                let what = "`retain_until` does not lock what another program wrote: it binds this software alone there";
                self.cx.event(Event::Warning(what.into()));
            }
            let vouched = sink.take_vouched();
            external::inventory(self.repository, self.cx, &self.prefix, &mut artifacts, vouched).await?;
        }
        if artifacts.is_empty() {
            return Err(Error::new(&codes::SOURCE_FAILED, "the source wrote nothing"));
        }
        let (inline, inventory) = self.inventory(&artifacts, sink).await?;
        let mut required_features = Vec::new();
        if inventory.is_some() {
            required_features.push("inventory".to_owned());
        }
        if artifacts.any_whole() {
            required_features.push("whole-digests".to_owned());
        }
        if self.request.compression == Compression::Zstd {
            required_features.push("zstd".to_owned());
        }
        Ok(Manifest {
            set: self.request.set.clone(),
            id: self.id.clone(),
            required_features,
            job: self.cx.job().clone(),
            lease_generation: self.lease.generation(),
            created_at: self.created_at,
            published_at: self.cx.clock().now(),
            source: SourceInfo {
                kind: self.source.kind().to_owned(),
                identity: summary.identity.or(probe.identity),
                revision: summary.revision,
                version: summary.version.or(probe.version),
                integrity: summary.integrity,
                log: summary.log,
            },
            parents: self.request.parents.clone(),
            prefix: self.prefix.clone(),
            artifacts: inline,
            inventory,
            adopted: false,
            retain_until: self.request.retain_until,
            warnings: self.history.iter().cloned().chain(summary.warnings).collect(),
            labels: self.request.labels.clone(),
            unknown: Map::new(),
        })
    }

    async fn inventory(&self, artifacts: &Artifacts, sink: &EngineSink) -> Result<(Vec<Artifact>, Option<Inventory>)> {
        if artifacts.len() <= crate::manifest::MAX_INLINE_ARTIFACTS {
            return Ok((artifacts.iter().collect(), None));
        }
        let written = inventory::write(self.repository, self.cx, &self.prefix, artifacts, self.request.retain_until).await;
        if written.as_ref().is_err_and(|error| error.effect() != crate::Effect::None) {
            sink.mark_unsettled();
        }
        Ok((Vec::new(), Some(written?)))
    }

    /// The last look before publishing.
    async fn may_publish(&self, intent: &IntentKeeper) -> Result<()> {
        self.lease.still_held().await?;
        intent.check_alive()?;
        self.cx.check()
    }

    /// Removes what a backup that was never offered for publishing left behind, and its intent last.
    async fn give_up(&self, error: Error, sink: &EngineSink, intent: &IntentKeeper) -> Error {
        let cx = self.cx.for_cleanup(CLEANUP_LIMIT);
        let cleaned = async {
            // Past its time the cleaner may already be at work, and decides alone.
            intent.check_alive()?;
            if sink.went_external() && error.kind() == crate::ErrorKind::AlreadyExists {
                // The other program found the place in use and wrote nothing: what lies there is another's.
                return intent.drop_all(&cx).await;
            }
            artifacts::remove(self.repository, &cx, &self.prefix, &sink.keys_outside()).await?;
            // The intent goes on naming what may appear yet; another program may write on for a while after it was told to stop.
            if sink.is_unsettled() || sink.went_external() { Ok(()) } else { intent.drop_all(&cx).await }
        };
        if let Err(left) = cleaned.await {
            self.cx.event(Event::Warning(format!("what backup {} left is the janitor's: {left}", self.id)));
        }
        error
    }
}

/// A backup cannot add to one of another instance: together they would restore nothing that ever was.
fn one_history(source: &SourceInfo, parent: &SourceInfo) -> Result<()> {
    match (&source.identity, &parent.identity) {
        (Some(own), Some(theirs)) if own != theirs => {
            let what = format!("the parent is of the instance {theirs}, and this is {own}");
            Err(Error::new(&codes::BACKUP_OTHER_HISTORY, what))
        }
        _ => Ok(()),
    }
}
