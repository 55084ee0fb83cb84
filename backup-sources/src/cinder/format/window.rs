//! The volume cut into windows: each becomes one object of a full backup, and holds all of every object of an incremental one.

use backup_core::{Digest, Error, JobContext, Result};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use std::sync::Arc;

use super::block::BLOCK_SIZE;
use super::buffers::{Buffer, Buffers};
use super::{BLOCK, codes};
use crate::cinder::access::{Extent, Extents};

/// A run of bytes of the volume, object size or less.
#[derive(Debug)]
pub(super) struct Window {
    /// Where it begins.
    pub(super) offset: u64,
    /// How many bytes.
    pub(super) length: usize,
    /// Its bytes; `None` when what is known of it is zeros.
    pub(super) raw: Option<Buffer>,
    /// The right to hold a buffer of the volume's bytes.
    right: Option<OwnedSemaphorePermit>,
    /// How many bytes of the buffer are filled.
    filled: usize,
    /// Which blocks are known; the others are the parent's. `None` when all are.
    covered: Option<Vec<bool>>,
    /// The parent's digests of the blocks.
    pub(super) parent: Option<Vec<Digest>>,
}

impl Window {
    pub(super) fn is_covered(&self, block: usize) -> bool {
        self.covered.as_ref().is_none_or(|covered| covered.get(block).copied().unwrap_or(false))
    }

    pub(super) fn parent_digest(&self, block: usize) -> Option<Digest> {
        self.parent.as_ref()?.get(block).copied()
    }

    /// What is to be stored: where each run begins in the window, and its length.
    pub(super) fn runs(&self, digests: &[Digest]) -> Vec<(usize, usize)> {
        let Some(parent) = &self.parent else { return vec![(0, self.length)] };
        let mut runs: Vec<(usize, usize)> = Vec::new();
        let changed = digests.iter().zip(parent).enumerate().filter(|(_, (new, old))| new != old);
        for (block, _) in changed {
            let at = block * BLOCK_SIZE;
            let length = BLOCK_SIZE.min(self.length - at);
            match runs.last_mut() {
                Some((start, before)) if *start + *before == at => *before += length,
                _ => runs.push((at, length)),
            }
        }
        runs
    }

    fn cover(&mut self, at: usize, length: usize) {
        let blocks = at / BLOCK_SIZE..(at + length).div_ceil(BLOCK_SIZE);
        if let Some(covered) = self.covered.as_mut().and_then(|covered| covered.get_mut(blocks)) {
            covered.fill(true);
        }
    }

    /// Fills the buffer with zeros up to a place.
    fn fill(&mut self, to: usize) {
        let hole = self.raw.as_mut().and_then(|raw| raw.as_mut().get_mut(self.filled..to));
        hole.unwrap_or_default().fill(0);
        self.filled = to;
    }

    fn append(&mut self, at: usize, data: &[u8]) {
        self.fill(at);
        let place = self.raw.as_mut().and_then(|raw| raw.as_mut().get_mut(at..at + data.len()));
        if let Some(place) = place {
            place.copy_from_slice(data);
        }
        self.filled = at + data.len();
    }
}

/// Cuts what is read of a volume into windows.
pub(super) struct Windows {
    extents: Extents,
    /// What is left of an extent.
    pending: Option<Extent>,
    ended: bool,
    /// Where the last extent ended.
    read: u64,
    at: u64,
    size: u64,
    object_size: u64,
    /// Only changes are read.
    changes: bool,
    buffers: Buffers,
    rights: Arc<Semaphore>,
}

impl Windows {
    /// `rights`: how many buffers may hold bytes of the volume that are not stored yet, of all.
    pub(super) fn new(extents: Extents, size: u64, object_size: u64, changes: bool, buffers: Buffers, rights: usize) -> Self {
        let rights = Arc::new(Semaphore::new(rights));
        Self { extents, pending: None, ended: false, read: 0, at: 0, size, object_size, changes, buffers, rights }
    }

    /// The next window, without the parent's digests; `None` behind the volume's end.
    ///
    /// # Errors
    /// `cinder.content` for extents out of order; those of the access.
    pub(super) async fn next(&mut self, cx: &JobContext) -> Result<Option<Window>> {
        cx.check()?;
        let offset = self.at;
        let length = self.object_size.min(self.size - offset);
        self.at += length;
        let length = usize::try_from(length).unwrap_or_default();
        let covered = self.changes.then(|| vec![false; length.div_ceil(BLOCK_SIZE)]);
        let mut window = Window { offset, length, raw: None, right: None, filled: 0, covered, parent: None };
        if length == 0 {
            // Nothing comes behind the end, and whether all came is known at the end alone.
            self.extent(cx).await?;
            return Ok(None);
        }
        while let Some(extent) = self.extent(cx).await? {
            let Some((at, part)) = self.part(extent) else { break };
            match part {
                Extent::Data { bytes, .. } => self.data(&mut window, at, &bytes).await?,
                Extent::Zero { length, .. } => {
                    let length = usize::try_from(length).unwrap_or_default();
                    window.cover(at, length);
                    if window.raw.is_some() {
                        window.fill(at + length);
                    }
                }
            }
        }
        window.fill(length);
        Ok(Some(window))
    }

    async fn data(&mut self, window: &mut Window, at: usize, bytes: &Bytes) -> Result<()> {
        if window.raw.is_none() {
            window.right = Arc::clone(&self.rights).acquire_owned().await.ok();
            window.raw = Some(self.buffers.take().await?);
            window.filled = 0;
        }
        window.cover(at, bytes.len());
        window.append(at, bytes);
        Ok(())
    }

    /// The next extent, or what is left of the last one.
    async fn extent(&mut self, cx: &JobContext) -> Result<Option<Extent>> {
        if let Some(extent) = self.pending.take() {
            return Ok(Some(extent));
        }
        while !self.ended {
            let extents = &mut self.extents;
            let Some(extent) = cx.run(async { extents.next().await.transpose() }).await? else {
                self.ended = true;
                break;
            };
            let (start, length) = place(&extent);
            let end = start.checked_add(length).filter(|end| *end <= self.size && start >= self.read);
            let end = end.ok_or_else(|| content(format!("{length} bytes at {start}, behind {}, of {}", self.read, self.size)))?;
            let aligned = start.is_multiple_of(BLOCK) && (end.is_multiple_of(BLOCK) || end == self.size);
            if self.changes && !aligned {
                return Err(content(format!("a change of {length} bytes at {start}, which is not a whole block")));
            }
            self.read = end;
            if length > 0 {
                return Ok(Some(extent));
            }
        }
        Ok(None)
    }

    /// What of an extent lies in the window that ends at `self.at`, and where in it; the rest is kept.
    fn part(&mut self, extent: Extent) -> Option<(usize, Extent)> {
        let (start, length) = place(&extent);
        let Some(room) = self.at.checked_sub(start).filter(|room| *room > 0) else {
            self.pending = Some(extent);
            return None;
        };
        let window = (self.at - 1) / self.object_size * self.object_size;
        let at = usize::try_from(start - window).unwrap_or_default();
        if length <= room {
            return Some((at, extent));
        }
        let (now, later) = match extent {
            Extent::Data { offset, mut bytes } => {
                let first = bytes.split_to(usize::try_from(room).unwrap_or_default());
                (Extent::Data { offset, bytes: first }, Extent::Data { offset: self.at, bytes })
            }
            Extent::Zero { offset, length } => {
                (Extent::Zero { offset, length: room }, Extent::Zero { offset: self.at, length: length - room })
            }
        };
        self.pending = Some(later);
        Some((at, now))
    }
}

fn place(extent: &Extent) -> (u64, u64) {
    match extent {
        Extent::Data { offset, bytes } => (*offset, bytes.len() as u64),
        Extent::Zero { offset, length } => (*offset, *length),
    }
}

fn content(why: String) -> Error {
    Error::new(&codes::CONTENT, format!("what was read of the volume is not in order: {why}"))
}
