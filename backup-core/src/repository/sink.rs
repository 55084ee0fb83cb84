//! The engine's sink: opens pipelines under keys of the naming, and remembers what was finished.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use tokio::task::{JoinError, JoinHandle, unconstrained};

use super::Repository;
use super::external::Vouched;
use super::intent::IntentKeeper;
use super::packed::Artifacts;
use super::taken::is_taken;
use crate::codec::ChunkEncoder;
use crate::context::JobContext;
use crate::digest::Digest;
use crate::error::{Effect, Error, Result, codes};
use crate::key::{KeyPrefix, ObjectKey};
use crate::layout;
use crate::manifest::{Artifact, Compression, Stored};
use crate::name::{ArtifactName, BackupId, SetName};
use crate::naming::NameRequest;
use crate::pipeline::{self, JobMemory, PipelineOptions, PipelineWriter};
use crate::record::IntendedArtifact;
use crate::source::{ArtifactOptions, ArtifactReceipt, ArtifactStream, ArtifactWriter, Encoding, Probe, Sink};
use crate::store::{ExternalLocation, NativePlace, PutOptions, ReadOptions, WriteOptions};

const NAME_ATTEMPTS: u32 = 100;

/// What all artifacts of one backup share.
#[derive(Debug)]
pub(crate) struct EngineSink {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    repository: Repository,
    cx: JobContext,
    set: SetName,
    id: BackupId,
    prefix: KeyPrefix,
    created_at: DateTime<Utc>,
    probe: Probe,
    compression: Compression,
    encoder: Option<ChunkEncoder>,
    retain_until: Option<DateTime<Utc>>,
    memory: JobMemory,
    open_artifacts: usize,
    intent: Arc<IntentKeeper>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many were ever opened, for their order.
    opened: usize,
    /// How many the source holds open.
    open: usize,
    /// Those that are being written.
    writing: BTreeMap<ArtifactName, ObjectKey>,
    /// Those that are finished, in the order in which they were opened.
    finished: Artifacts,
    /// Keys outside of the prefix that were finished.
    outside: Vec<ObjectKey>,
    /// Pipelines under way, and what stopped the first of those that ended.
    tasks: Vec<JoinHandle<Result<()>>>,
    stopped: Option<Error>,
    external: bool,
    /// What the source's own metadata says of objects that another program wrote.
    vouched: BTreeMap<ArtifactName, Vouched>,
    /// An object was finished with an open answer, or behind a dropped `close`: it may appear yet.
    unsettled: bool,
}

/// What the sink is made of.
pub(crate) struct SinkParts {
    pub(crate) repository: Repository,
    pub(crate) cx: JobContext,
    pub(crate) set: SetName,
    pub(crate) id: BackupId,
    pub(crate) prefix: KeyPrefix,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) probe: Probe,
    pub(crate) compression: Compression,
    pub(crate) encoder: Option<ChunkEncoder>,
    pub(crate) retain_until: Option<DateTime<Utc>>,
    pub(crate) intent: Arc<IntentKeeper>,
    pub(crate) open_artifacts: usize,
}

impl EngineSink {
    pub(crate) fn new(parts: SinkParts) -> Self {
        let SinkParts {
            repository,
            cx,
            set,
            id,
            prefix,
            created_at,
            probe,
            compression,
            encoder,
            retain_until,
            intent,
            open_artifacts,
        } = parts;
        let memory = JobMemory::new(open_artifacts);
        let state = Mutex::default();
        let shared = Shared {
            repository,
            cx,
            set,
            id,
            prefix,
            created_at,
            probe,
            compression,
            encoder,
            retain_until,
            memory,
            open_artifacts,
            intent,
            state,
        };
        Self { shared: Arc::new(shared) }
    }

    /// True when the source asked for a place to write by itself.
    pub(crate) fn went_external(&self) -> bool {
        self.shared.locked().external
    }

    /// What the source said of objects that another program wrote.
    pub(crate) fn take_vouched(&self) -> BTreeMap<ArtifactName, Vouched> {
        std::mem::take(&mut self.shared.locked().vouched)
    }

    /// True when an object of this backup may appear after all is over.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.shared.locked().unsettled
    }

    pub(crate) fn mark_unsettled(&self) {
        self.shared.locked().unsettled = true;
    }

    /// # Errors
    /// `source.incomplete` when an artifact is still open.
    pub(crate) fn check_closed(&self) -> Result<()> {
        match self.shared.locked().writing.keys().next() {
            None => Ok(()),
            Some(name) => {
                Err(Error::new(&codes::SOURCE_INCOMPLETE, format!("the source returned while artifact `{name}` was open")))
            }
        }
    }

    /// Waits for every pipeline task. Afterwards no writer of this backup is left.
    ///
    /// # Errors
    /// What stopped a pipeline, if one was stopped for a reason of its own and not because the source let go of it.
    pub(crate) async fn settle(&self) -> Result<()> {
        let tasks = std::mem::take(&mut self.shared.locked().tasks);
        for task in tasks {
            let ended = task.await;
            self.shared.locked().note_end(ended);
        }
        self.shared.locked().stopped.take().map_or(Ok(()), Err)
    }

    /// The finished artifacts, in the order in which they were opened.
    ///
    /// # Errors
    /// `source.incomplete` when an object may appear that none of them describes.
    pub(crate) fn take_artifacts(&self) -> Result<Artifacts> {
        let mut state = self.shared.locked();
        if state.unsettled {
            let why = "the source went on although closing an artifact failed with an open answer, or was dropped half-way";
            return Err(Error::new(&codes::SOURCE_INCOMPLETE, why));
        }
        Ok(std::mem::take(&mut state.finished))
    }

    /// The keys outside of the backup's prefix that were finished.
    pub(crate) fn keys_outside(&self) -> Vec<ObjectKey> {
        self.shared.locked().outside.clone()
    }
}

impl State {
    /// Adds a pipeline. Those that ended are let go of: there may be very many.
    fn add_task(&mut self, task: JoinHandle<Result<()>>) {
        let (ended, running): (Vec<_>, Vec<_>) = std::mem::take(&mut self.tasks).into_iter().partition(JoinHandle::is_finished);
        self.tasks = running;
        self.tasks.push(task);
        // Each answers at once, but for the runtime's own sense of whose turn it is.
        ended.into_iter().filter_map(|task| unconstrained(task).now_or_never()).for_each(|ended| self.note_end(ended));
    }

    fn note_end(&mut self, ended: std::result::Result<Result<()>, JoinError>) {
        let lost = |error| Err(Error::new(&codes::INTERNAL, "a pipeline ended by itself").with_source(error));
        if let Err(error) = ended.unwrap_or_else(lost)
            && self.stopped.is_none()
            && !is_echo(&error)
        {
            self.stopped = Some(error);
        }
    }
}

/// True for an error that only says that another one came before.
pub(crate) fn is_echo(error: &Error) -> bool {
    *error.code() == codes::STORE_WRITER_FAILED || *error.code() == codes::SOURCE_INCOMPLETE
}

impl Shared {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True when another artifact of this backup has that key.
    fn is_used_here(&self, key: &ObjectKey) -> bool {
        let state = self.locked();
        state.finished.stored_at(key).is_some() || state.writing.values().any(|writing| writing == key)
    }

    /// A key that nothing holds and no record names.
    async fn free_key(&self, name: &ArtifactName, probe: &Probe) -> Result<ObjectKey> {
        for attempt in 1..=NAME_ATTEMPTS {
            let request = NameRequest {
                set: &self.set,
                id: &self.id,
                prefix: &self.prefix,
                artifact: name,
                probe,
                created_at: self.created_at,
                compression: self.compression,
                attempt,
            };
            let key = self.repository.naming().artifact_key(request)?;
            layout::check_artifact_key(&self.prefix, &key)?;
            if self.is_used_here(&key) {
                continue;
            }
            if key.strip_prefix(&self.prefix).is_some() || !is_taken(&self.repository, &self.cx, &self.set, &key).await? {
                return Ok(key);
            }
        }
        Err(Error::new(&codes::STORE_EXISTS, format!("no free name for artifact `{name}` after {NAME_ATTEMPTS} tries")))
    }

    /// A place for an artifact; `open` when the source will hold a writer of it.
    async fn slot(self: &Arc<Self>, name: &ArtifactName, options: &ArtifactOptions, open: bool) -> Result<Slot> {
        self.cx.check()?;
        if options.encoding == Encoding::AsIs && self.encoder.is_some() {
            return Err(Error::new(
                &codes::ARTIFACT_ENCODING,
                format!("artifact `{name}` must be stored as it is, and compression is configured"),
            ));
        }
        let key = self.free_key(name, options.probe.as_ref().unwrap_or(&self.probe)).await?;
        let mut state = self.locked();
        if state.writing.contains_key(name) || state.finished.named(name.as_str()).is_some() {
            return Err(Error::new(&codes::ARTIFACT_NAME_TAKEN, format!("artifact `{name}` was opened twice")));
        }
        if open && state.open >= self.open_artifacts {
            let why = format!(
                "the source holds {} artifacts open, as many as `Source::open_artifacts` says; it must close one first",
                state.open
            );
            return Err(Error::new(&codes::SOURCE_INCOMPLETE, why));
        }
        state.writing.insert(name.clone(), key.clone());
        let order = state.opened;
        state.opened += 1;
        state.open += usize::from(open);
        Ok(Slot { shared: Arc::clone(self), name: name.clone(), key, order, open, finishing: false, done: false })
    }
}

#[async_trait]
impl Sink for EngineSink {
    async fn artifact(&self, name: &ArtifactName, options: ArtifactOptions) -> Result<Box<dyn ArtifactWriter>> {
        let shared = &self.shared;
        let slot = shared.slot(name, &options, true).await?;
        if let Some(size) = options.size_hint {
            shared.cx.progress().expect(size);
        }
        // Waits only for artifacts that were dropped and are still being given up.
        let open = shared.cx.run(shared.memory.open_artifact()).await?;
        let write = WriteOptions::new(shared.cx.job().clone()).size_hint(options.size_hint).retain_until(shared.retain_until);
        let writer = shared.repository.store().writer(&shared.cx, &slot.key, write).await?;
        let pipeline = PipelineOptions {
            pool: shared.repository.cpu().clone(),
            memory: shared.memory.clone(),
            encoder: shared.encoder.clone(),
            open,
        };
        let (pipeline, task) = pipeline::spawn(&shared.cx, writer, pipeline);
        shared.locked().add_task(task);
        Ok(Box::new(SinkWriter { pipeline, slot }))
    }

    async fn put(&self, name: &ArtifactName, data: Bytes, options: ArtifactOptions) -> Result<ArtifactReceipt> {
        let shared = &self.shared;
        if shared.encoder.is_some() {
            let mut writer = self.artifact(name, options.size_hint(data.len() as u64)).await?;
            writer.write(data).await?;
            return writer.close().await;
        }
        let mut slot = shared.slot(name, &options, false).await?;
        let hashed = data.clone();
        let stored = shared.repository.cpu().run(move || Stored::of(&hashed)).await?;
        slot.announce(&stored).await?;
        slot.finishing = true;
        let put = PutOptions::default().retain_until(shared.retain_until);
        let done = shared.repository.store().put(&shared.cx, &slot.key, data, put).await;
        slot.finishing = done.as_ref().is_err_and(|error| error.effect() != Effect::None);
        done?;
        shared.cx.progress().add(stored.size);
        Ok(slot.finish(stored.size, stored.sha256, stored))
    }

    fn native_place(&self) -> Option<NativePlace> {
        self.shared.repository.store().native_place(&self.shared.prefix)
    }

    fn external_location(&self) -> Result<ExternalLocation> {
        let location = self
            .shared
            .repository
            .store()
            .external_location(&self.shared.prefix)
            .ok_or_else(|| Error::new(&codes::SOURCE_UNSUPPORTED, "this store cannot be written by another program"))?;
        self.shared.locked().external = true;
        Ok(location)
    }

    async fn read_external(&self, name: &ArtifactName) -> Result<ArtifactStream> {
        let shared = &self.shared;
        let key = shared.prefix.key(name.as_str())?;
        Ok(shared.repository.store().read(&shared.cx, &key, ReadOptions::default()).await?.body)
    }

    fn vouch(&self, name: &ArtifactName, size: u64, sha256: Digest) -> Result<()> {
        let mut state = self.shared.locked();
        match state.vouched.insert(name.clone(), Vouched { size, sha256 }) {
            Some(before) if before != (Vouched { size, sha256 }) => {
                Err(Error::new(&codes::ARTIFACT_NAME_TAKEN, format!("two different objects are called `{name}`")))
            }
            _ => Ok(()),
        }
    }
}

/// An artifact's place in the sink; freed unless it was closed.
struct Slot {
    shared: Arc<Shared>,
    name: ArtifactName,
    key: ObjectKey,
    order: usize,
    /// The source holds a writer of it.
    open: bool,
    /// The object may become visible at any moment.
    finishing: bool,
    done: bool,
}

impl Slot {
    fn is_outside(&self) -> bool {
        self.key.strip_prefix(&self.shared.prefix).is_none()
    }

    /// Before the object appears: an intent that still holds names it.
    async fn announce(&self, stored: &Stored) -> Result<()> {
        let intent = &self.shared.intent;
        if self.is_outside() {
            intent.announce(IntendedArtifact { key: self.key.clone(), size: stored.size, sha256: stored.sha256 }).await?;
        }
        intent.check_alive()
    }

    /// The object is there.
    fn finish(mut self, size: u64, sha256: Digest, stored: Stored) -> ArtifactReceipt {
        let receipt = ArtifactReceipt::new(size, sha256, stored.size);
        let (name, key, compression) = (self.name.clone(), self.key.clone(), self.shared.compression);
        let artifact = Artifact { name, key, compression, size, sha256, stored };
        let outside = self.is_outside().then(|| self.key.clone());
        let shared = Arc::clone(&self.shared);
        let mut state = shared.locked();
        state.outside.extend(outside);
        state.finished.insert(self.order, &artifact);
        self.done = true;
        // The slot locks the state when it is dropped.
        drop(state);
        receipt
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.locked();
        state.open -= usize::from(self.open);
        state.writing.remove(&self.name);
        state.unsettled |= self.finishing && !self.done;
    }
}

struct SinkWriter {
    pipeline: PipelineWriter,
    slot: Slot,
}

#[async_trait]
impl ArtifactWriter for SinkWriter {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.pipeline.write(data).await
    }

    async fn digest(&mut self) -> Result<Digest> {
        self.pipeline.digest().await
    }

    async fn close(self: Box<Self>) -> Result<ArtifactReceipt> {
        let Self { pipeline, mut slot } = *self;
        let ended = pipeline.end().await?;
        slot.announce(&ended.outcome.stored).await?;
        slot.finishing = true;
        let finished = ended.finish().await;
        // With an open answer it may still appear, as behind a call that was dropped here.
        slot.finishing = finished.as_ref().is_err_and(|error| error.effect() != Effect::None);
        let (outcome, _) = finished?;
        Ok(slot.finish(outcome.size, outcome.sha256, outcome.stored))
    }
}

/// The error to report when a capture failed: a source often only echoes what stopped a pipeline.
pub(crate) fn root_cause(from_source: Error, from_pipeline: Result<()>) -> Error {
    match from_pipeline {
        Err(cause) if is_echo(&from_source) => cause,
        _ => from_source,
    }
}
