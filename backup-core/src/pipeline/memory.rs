//! The memory of one job: what its chunks in flight may take.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::codec::ChunkEncoder;
use crate::error::{Error, Result, codes};
use crate::source::Source;
use crate::store::Store;

/// Bytes of chunks in flight, all artifacts of a job together.
const IN_FLIGHT: u64 = 16 << 20;
/// Bytes of a chunk where nothing is encoded.
pub(crate) const PLAIN_CHUNK: usize = 1 << 20;
const UNIT: u64 = 1024;

/// The bytes a backup job reserves when it is admitted: what its source holds of its own, its chunks in flight, and for each of the artifacts
/// that its source writes side by side a chunk that is being filled and the store's own buffers. A source that opens none writes by itself,
/// and nothing of it passes through here.
pub(crate) fn working_set(store: &dyn Store, encoder: Option<&ChunkEncoder>, size_hint: Option<u64>, source: &dyn Source) -> u64 {
    let own = source.working_memory();
    match source.open_artifacts() as u64 {
        0 => own,
        open => own + IN_FLIGHT + open * (chunk_size(encoder) as u64 + store.writer_memory(size_hint)),
    }
}

pub(crate) fn chunk_size(encoder: Option<&ChunkEncoder>) -> usize {
    encoder.map_or(PLAIN_CHUNK, ChunkEncoder::chunk_size)
}

/// Shared by the artifacts of one job. A chunk waits here only for chunks of the same job, and those always drain.
#[derive(Debug, Clone)]
pub(crate) struct JobMemory {
    in_flight: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

/// Held by a chunk until it is stored.
pub(crate) type ChunkPermit = Arc<OwnedSemaphorePermit>;

impl JobMemory {
    pub(crate) fn new(max_open: usize) -> Self {
        let in_flight = Arc::new(Semaphore::new((IN_FLIGHT / UNIT) as usize));
        Self { in_flight, open: Arc::new(Semaphore::new(max_open)) }
    }

    /// The memory of one open artifact.
    pub(crate) async fn open_artifact(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.open).acquire_owned().await.map_err(closed)
    }

    /// Waits until a chunk of `bytes` may be in flight.
    pub(crate) async fn chunk(&self, bytes: u64) -> Result<ChunkPermit> {
        let units = bytes.div_ceil(UNIT).clamp(1, IN_FLIGHT / UNIT) as u32;
        let permit = Arc::clone(&self.in_flight).acquire_many_owned(units).await;
        permit.map(Arc::new).map_err(closed)
    }
}

fn closed(error: AcquireError) -> Error {
    Error::new(&codes::INTERNAL, "the job's memory is closed").with_source(error)
}
