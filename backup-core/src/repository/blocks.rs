//! Reading stored bytes block by block, each checked before it is handed out.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tokio_util::task::AbortOnDropHandle;

use super::Repository;
use crate::budget::Reservation;
use crate::context::JobContext;
use crate::cpu::CpuPool;
use crate::digest::{Digest, Hasher};
use crate::error::{Effect, Error, Result, codes};
use crate::key::ObjectKey;
use crate::manifest::{BLOCK_SIZE, Stored};
use crate::source::ArtifactStream;
use crate::store::ReadOptions;

/// Blocks read ahead of whoever takes them.
pub(crate) const READ_AHEAD: usize = 3;

/// Bytes that one stream of checked blocks holds at most.
pub(crate) fn stream_memory(stored: &Stored) -> u64 {
    if stored.is_whole() {
        return BLOCK_SIZE.min(stored.size.max(1));
    }
    stored.block_size.min(stored.size.max(1)).saturating_mul(READ_AHEAD as u64)
}

/// One block in pieces, checked.
///
/// # Errors
/// `artifact.corrupt` when its digest differs or it is short; `artifact.missing` when the object is gone.
pub(crate) async fn read_block(
    repository: &Repository,
    cx: &JobContext,
    key: &ObjectKey,
    stored: &Stored,
    index: usize,
) -> Result<Vec<Bytes>> {
    let corrupt = |what: String| Error::new(&codes::ARTIFACT_CORRUPT, format!("block {index} of {key} {what}"));
    let Some(&expected) = stored.blocks.get(index) else { return Err(corrupt("has no digest in the manifest".into())) };
    let start = index as u64 * stored.block_size;
    let end = start.saturating_add(stored.block_size).min(stored.size);
    let pieces = cx.run(collect(repository, cx, key, start..end)).await?;
    let length: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
    if length != end - start {
        return Err(corrupt(format!("has {length} bytes instead of {}", end - start)));
    }
    let (pieces, digest) = repository.cpu().run(move || digest_of(pieces)).await?;
    if digest != expected {
        return Err(corrupt("is damaged: its SHA-256 differs from the manifest's".into()));
    }
    Ok(pieces)
}

async fn collect(repository: &Repository, cx: &JobContext, key: &ObjectKey, range: Range<u64>) -> Result<Vec<Bytes>> {
    let short = |why: String| Error::new(&codes::ARTIFACT_CORRUPT, format!("{key} {why}"));
    let limit = range.end - range.start;
    let read = match repository.store().read(cx, key, ReadOptions::range(range)).await {
        Err(error) if error.is_not_found() => return Err(Error::new(&codes::ARTIFACT_MISSING, format!("{key} is not there"))),
        // A range that starts behind the end: the object was cut.
        Err(error) if error.kind() == crate::ErrorKind::InvalidInput => {
            return Err(short("is shorter than its manifest says".into()));
        }
        other => other?,
    };
    let (mut body, mut pieces, mut length) = (read.body, Vec::new(), 0);
    while let Some(piece) = body.try_next().await? {
        length += piece.len() as u64;
        if length > limit {
            return Err(short("gave more bytes than were asked for".into()));
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

fn digest_of(pieces: Vec<Bytes>) -> (Vec<Bytes>, Digest) {
    let mut hasher = Hasher::new();
    pieces.iter().for_each(|piece| hasher.update(piece));
    (pieces, hasher.finish())
}

/// The bytes of `range`, whole blocks read in parallel and checked, handed out in order.
pub(crate) fn checked(
    repository: &Repository,
    cx: &JobContext,
    key: &ObjectKey,
    stored: &Arc<Stored>,
    range: Range<u64>,
    memory: Reservation,
) -> ArtifactStream {
    let block = stored.block_size.max(1);
    let indexes = if range.is_empty() { 0..0 } else { range.start / block..range.end.div_ceil(block) };
    let (repository, cx, key, stored) = (repository.clone(), cx.clone(), key.clone(), Arc::clone(stored));
    let blocks = futures::stream::iter(indexes)
        .map(move |index| {
            let (repository, cx, key, stored, range) =
                (repository.clone(), cx.clone(), key.clone(), Arc::clone(&stored), range.clone());
            // Each in a task of its own: it goes on while whoever takes the bytes is busy with those before it.
            AbortOnDropHandle::new(tokio::spawn(async move {
                let pieces = read_block(&repository, &cx, &key, &stored, index as usize).await?;
                Ok::<_, Error>(cut(pieces, index * block, &range))
            }))
        })
        .map(|task| async {
            let lost = |error| Error::new(&codes::INTERNAL, "reading a block did not end").with_source(error);
            task.await.map_err(lost)?
        })
        .buffered(READ_AHEAD)
        .map_ok(|pieces| futures::stream::iter(pieces.into_iter().map(Ok::<_, Error>)))
        .try_flatten();
    // The memory is given back with the stream.
    futures::stream::unfold((blocks.boxed(), memory, false), |(mut blocks, memory, failed)| async move {
        if failed {
            return None;
        }
        let item = blocks.next().await?;
        let failed = item.is_err();
        Some((item, (blocks, memory, failed)))
    })
    .boxed()
}

/// The bytes of an object with a digest of the whole alone. It is checked at the end: without an error there, all was good.
pub(crate) async fn whole(
    repository: &Repository,
    cx: &JobContext,
    key: &ObjectKey,
    stored: &Stored,
    memory: Reservation,
) -> Result<ArtifactStream> {
    let body = match repository.store().read(cx, key, ReadOptions::default()).await {
        Err(error) if error.is_not_found() => return Err(Error::new(&codes::ARTIFACT_MISSING, format!("{key} is not there"))),
        other => other?.body,
    };
    let state = Whole {
        body,
        cx: cx.clone(),
        pool: repository.cpu().clone(),
        key: key.clone(),
        left: stored.size,
        expected: stored.sha256,
        hasher: Hasher::new(),
        ended: false,
        _memory: memory,
    };
    Ok(futures::stream::unfold(state, |mut state| async move {
        if state.ended {
            return None;
        }
        let item = state.next().await.transpose()?;
        state.ended = item.is_err();
        Some((item, state))
    })
    .boxed())
}

struct Whole {
    body: ArtifactStream,
    cx: JobContext,
    pool: CpuPool,
    key: ObjectKey,
    left: u64,
    expected: Digest,
    hasher: Hasher,
    ended: bool,
    /// Given back with the stream.
    _memory: Reservation,
}

impl Whole {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let corrupt = |what: &str| Err(Error::new(&codes::ARTIFACT_CORRUPT, format!("{} {what}", self.key)));
        let Some(piece) = self.cx.run(self.body.try_next()).await? else {
            return match (self.left, self.hasher.clone().finish() == self.expected) {
                (0, true) => Ok(None),
                (0, false) => corrupt("is damaged: its SHA-256 differs from the manifest's"),
                _ => corrupt("is shorter than its manifest says"),
            };
        };
        match self.left.checked_sub(piece.len() as u64) {
            Some(left) => self.left = left,
            None => return corrupt("is longer than its manifest says"),
        }
        let (mut hasher, hashed) = (std::mem::take(&mut self.hasher), piece.clone());
        let hash = move || {
            hasher.update(&hashed);
            hasher
        };
        self.hasher = self.pool.run(hash).await?;
        Ok(Some(piece))
    }
}

/// The part of a block's pieces that lies in `range`; the block starts at `start`.
fn cut(pieces: Vec<Bytes>, start: u64, range: &Range<u64>) -> Vec<Bytes> {
    let mut at = start;
    let mut wanted = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let end = at + piece.len() as u64;
        let (from, to) = (range.start.clamp(at, end), range.end.clamp(at, end));
        if from < to {
            wanted.push(piece.slice((from - at) as usize..(to - at) as usize));
        }
        at = end;
    }
    wanted
}

/// # Errors
/// `input.invalid` for a range outside of the object.
pub(crate) fn check_range(range: &Range<u64>, size: u64) -> Result<()> {
    if range.start > range.end || range.end > size {
        return Err(
            Error::new(&codes::INPUT_INVALID, format!("bytes {range:?} of an object of {size} bytes")).with_effect(Effect::None)
        );
    }
    Ok(())
}
