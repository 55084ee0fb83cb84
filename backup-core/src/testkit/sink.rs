//! A sink that keeps what a source writes.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};

use super::lock;
use crate::context::JobContext;
use crate::digest::{Digest, Hasher};
use crate::error::{Code, Error, Result, codes};
use crate::name::ArtifactName;
use crate::source::{ArtifactOptions, ArtifactReceipt, ArtifactStream, ArtifactWriter, Sink};
use crate::store::{ExternalLocation, NativePlace};

/// A [`Sink`] in memory, for driving a [`Source`](crate::Source) without an engine. Clones are the same sink.
///
/// It behaves as the engine's: names are unique, a writer that failed or was dropped discards its artifact, and every write waits once, so
/// that a source which does not await is found out. After [`RecordingSink::cancel_after`] struck, everything fails with
/// `job.cancelled`.
#[derive(Clone, Default)]
pub struct RecordingSink(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    slots: Vec<Slot>,
    counts: Counts,
    bytes: u64,
    fail: Option<(Step, u64, &'static Code)>,
    cancel: Option<(u64, JobContext)>,
    external: Option<ExternalLocation>,
    place: Option<NativePlace>,
    vouched: Vec<(ArtifactName, u64, Digest)>,
}

/// One artifact, in the order of opening; a discarded one stays as an empty place.
struct Slot {
    name: ArtifactName,
    options: ArtifactOptions,
    data: BytesMut,
    state: SlotState,
}

#[derive(Clone, Copy, PartialEq)]
enum SlotState {
    Open,
    Closed,
    Discarded,
}

#[derive(Default)]
struct Counts {
    opens: u64,
    writes: u64,
    closes: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Step {
    Open,
    Write,
    Close,
}

/// An artifact that a source wrote and closed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedArtifact {
    /// Its name.
    pub name: ArtifactName,
    /// Its bytes.
    pub bytes: Bytes,
    /// Whether the source asked for [`Encoding::AsIs`](crate::source::Encoding::AsIs).
    pub as_is: bool,
    /// The size that the source expected.
    pub size_hint: Option<u64>,
}

impl RecordingSink {
    /// A sink that takes everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The `n`-th opening of an artifact, counted from 1, fails with `code`.
    pub fn fail_open(&self, n: u64, code: &'static Code) {
        lock(&self.0).fail = Some((Step::Open, n, code));
    }

    /// The `n`-th write, over all artifacts and counted from 1, fails with `code`.
    pub fn fail_write(&self, n: u64, code: &'static Code) {
        lock(&self.0).fail = Some((Step::Write, n, code));
    }

    /// The `n`-th close, counted from 1, fails with `code`.
    pub fn fail_close(&self, n: u64, code: &'static Code) {
        lock(&self.0).fail = Some((Step::Close, n, code));
    }

    /// Cancels the job of `cx` when `bytes` bytes were written; the call after that fails.
    pub fn cancel_after(&self, bytes: u64, cx: &JobContext) {
        lock(&self.0).cancel = Some((bytes, cx.clone()));
    }

    /// Sets what other programs call the place of what is written.
    pub fn set_native_place(&self, place: NativePlace) {
        lock(&self.0).place = Some(place);
    }

    /// Offers a place to sources that write by themselves.
    pub fn set_external_location(&self, location: ExternalLocation) {
        lock(&self.0).external = Some(location);
    }

    /// What the source said of objects that another program wrote.
    pub fn vouched(&self) -> Vec<(ArtifactName, u64, Digest)> {
        lock(&self.0).vouched.clone()
    }

    /// The closed artifacts, in the order in which they were opened.
    pub fn artifacts(&self) -> Vec<RecordedArtifact> {
        let state = lock(&self.0);
        let closed = state.slots.iter().filter(|slot| slot.state == SlotState::Closed);
        closed.map(Slot::record).collect()
    }

    /// The names of artifacts that are still open.
    pub fn open_artifacts(&self) -> Vec<ArtifactName> {
        let state = lock(&self.0);
        state.slots.iter().filter(|slot| slot.state == SlotState::Open).map(|slot| slot.name.clone()).collect()
    }

    /// The names of artifacts that were dropped and not written again: data that the source began and lost.
    pub fn abandoned(&self) -> Vec<ArtifactName> {
        let state = lock(&self.0);
        let lost = |slot: &&Slot| !state.slots.iter().any(|other| other.name == slot.name && other.state != SlotState::Discarded);
        state.slots.iter().filter(lost).map(|slot| slot.name.clone()).collect()
    }

    /// How many closes there were, failed ones included.
    pub fn closes(&self) -> u64 {
        lock(&self.0).counts.closes
    }

    /// How many writes there were, failed ones included.
    pub fn writes(&self) -> u64 {
        lock(&self.0).counts.writes
    }

    /// How many bytes were written.
    pub fn bytes(&self) -> u64 {
        lock(&self.0).bytes
    }
}

impl Slot {
    fn record(&self) -> RecordedArtifact {
        RecordedArtifact {
            name: self.name.clone(),
            bytes: self.data.clone().freeze(),
            as_is: self.options.encoding == crate::source::Encoding::AsIs,
            size_hint: self.options.size_hint,
        }
    }
}

impl State {
    /// Counts a step and fails it when it is its turn.
    fn step(&mut self, step: Step, what: &ArtifactName) -> Result<()> {
        let count = match step {
            Step::Open => &mut self.counts.opens,
            Step::Write => &mut self.counts.writes,
            Step::Close => &mut self.counts.closes,
        };
        *count += 1;
        match self.fail {
            Some((kind, n, code)) if kind == step && n == *count => {
                return Err(Error::new(code, format!("injected into artifact {what}")));
            }
            _ => {}
        }
        match &self.cancel {
            Some((_, cx)) => cx.check(),
            None => Ok(()),
        }
    }

    fn append(&mut self, slot: usize, data: &Bytes) {
        self.slots[slot].data.extend_from_slice(data);
        self.bytes += data.len() as u64;
        if let Some((after, cx)) = &self.cancel
            && self.bytes >= *after
        {
            cx.cancel_token().cancel();
        }
    }
}

#[async_trait]
impl Sink for RecordingSink {
    async fn artifact(&self, name: &ArtifactName, options: ArtifactOptions) -> Result<Box<dyn ArtifactWriter>> {
        tokio::task::yield_now().await;
        let mut state = lock(&self.0);
        state.step(Step::Open, name)?;
        if state.slots.iter().any(|slot| slot.name == *name && slot.state != SlotState::Discarded) {
            return Err(Error::new(&codes::ARTIFACT_NAME_TAKEN, format!("there is an artifact {name}")));
        }
        state.slots.push(Slot { name: name.clone(), options, data: BytesMut::new(), state: SlotState::Open });
        let slot = state.slots.len() - 1;
        Ok(Box::new(Recorder { sink: self.clone(), name: name.clone(), slot, hasher: Hasher::new(), failed: false }))
    }

    fn native_place(&self) -> Option<NativePlace> {
        lock(&self.0).place.clone()
    }

    fn external_location(&self) -> Result<ExternalLocation> {
        let unsupported = || Error::new(&codes::SOURCE_UNSUPPORTED, "this sink cannot be written from outside");
        lock(&self.0).external.clone().ok_or_else(unsupported)
    }

    /// Reads below a `file://` location.
    async fn read_external(&self, name: &ArtifactName) -> Result<ArtifactStream> {
        let location = self.external_location()?;
        let unsupported = || Error::new(&codes::SOURCE_UNSUPPORTED, "this sink reads back from `file://` alone");
        let folder = location.url.strip_prefix("file://").ok_or_else(unsupported)?;
        let missing = |error| Error::new(&codes::STORE_NOT_FOUND, format!("{name} at {location:?}")).with_source(error);
        let bytes = std::fs::read(format!("{folder}/{name}")).map_err(missing)?;
        Ok(stream::iter([Ok(bytes.into())]).boxed())
    }

    fn vouch(&self, name: &ArtifactName, size: u64, sha256: Digest) -> Result<()> {
        lock(&self.0).vouched.push((name.clone(), size, sha256));
        Ok(())
    }
}

impl fmt::Debug for RecordingSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.artifacts().into_iter().map(|artifact| artifact.name).collect();
        f.debug_struct("RecordingSink").field("closed", &names).field("open", &self.open_artifacts()).finish()
    }
}

struct Recorder {
    sink: RecordingSink,
    name: ArtifactName,
    slot: usize,
    hasher: Hasher,
    failed: bool,
}

impl Recorder {
    fn usable(&self) -> Result<()> {
        match self.failed {
            true => Err(Error::new(&codes::STORE_WRITER_FAILED, format!("a write to artifact {} failed before", self.name))),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl ArtifactWriter for Recorder {
    async fn write(&mut self, data: Bytes) -> Result<()> {
        self.usable()?;
        // Stays set when the call fails or is dropped.
        self.failed = true;
        tokio::task::yield_now().await;
        let mut state = lock(&self.sink.0);
        state.step(Step::Write, &self.name)?;
        state.append(self.slot, &data);
        self.hasher.update(&data);
        self.failed = false;
        Ok(())
    }

    async fn digest(&mut self) -> Result<Digest> {
        self.usable()?;
        Ok(self.hasher.clone().finish())
    }

    async fn close(self: Box<Self>) -> Result<ArtifactReceipt> {
        self.usable()?;
        tokio::task::yield_now().await;
        let mut state = lock(&self.sink.0);
        state.step(Step::Close, &self.name)?;
        let slot = &mut state.slots[self.slot];
        slot.state = SlotState::Closed;
        let size = slot.data.len() as u64;
        Ok(ArtifactReceipt::new(size, self.hasher.clone().finish(), size))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let mut state = lock(&self.sink.0);
        let slot = &mut state.slots[self.slot];
        if slot.state == SlotState::Open {
            slot.state = SlotState::Discarded;
        }
    }
}
