//! Bytes on their way to the server's disk, kept until they are there.
//!
//! A server may keep what is written to it in memory until a COMMIT, and lose it when it restarts. It then has another write verifier:
//! when a COMMIT shows another one than the writes before it, they are made again (RFC 1813, section 3.3.7). There are servers whose
//! verifier is the second of their start, and which come back within it, so a broken connection is taken for a sign too.

use std::collections::VecDeque;
use std::sync::Arc;

use backup_core::{Bytes, Error, JobContext, Result};

use super::codes::NFS_LOST_WRITES;
use super::error::{failed, invisible};
use super::file::File;
use super::task::Task;
use super::tree::Tree;
use super::wire::{Fault, Status, Verifier, Wrote};

/// A segment is committed when it has so many bytes; while it is, the next one fills.
pub(super) const SEGMENT: u64 = 8 << 20;
/// How often a segment is written again before its writer fails.
const REPETITIONS: usize = 16;
/// How often of these because a connection broke, and nothing else: a bad network is no server that forgets.
const DISTRUST: usize = 2;

/// The end of a file that grows.
#[derive(Debug)]
pub(super) struct Window {
    place: Place,
    end: u64,
    filling: Segment,
    committing: Option<Task<()>>,
}

/// Where the bytes go.
#[derive(Debug, Clone)]
struct Place {
    cx: JobContext,
    tree: Arc<Tree>,
    file: Arc<File>,
}

#[derive(Debug, Default)]
struct Segment {
    pieces: VecDeque<(u64, Bytes)>,
    writes: VecDeque<Task<Written>>,
    written: Option<Written>,
    bytes: u64,
    /// The connections that had broken when its first byte was sent.
    breaks: u64,
}

/// What writes came to: nothing left to commit, or what a commit must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Stable,
    Unstable(Verifier),
    /// The server restarted between two of them.
    Lost,
}

impl Written {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Stable, other) | (other, Self::Stable) => other,
            (Self::Unstable(a), Self::Unstable(b)) if a == b => self,
            _ => Self::Lost,
        }
    }
}

impl From<Wrote> for Written {
    fn from(wrote: Wrote) -> Self {
        if wrote.stable { Self::Stable } else { Self::Unstable(wrote.verifier) }
    }
}

impl Window {
    pub(super) fn new(cx: &JobContext, tree: &Arc<Tree>, file: &Arc<File>) -> Self {
        let place = Place { cx: cx.clone(), tree: Arc::clone(tree), file: Arc::clone(file) };
        Self { place, end: 0, filling: Segment::default(), committing: None }
    }

    /// Appends bytes, not more than the server takes at once. Waits while two segments are under way.
    pub(super) async fn push(&mut self, data: Bytes) -> Result<()> {
        self.filling.look().await?;
        self.send(data, false);
        if self.filling.bytes >= SEGMENT { self.next().await } else { Ok(()) }
    }

    /// Appends the last bytes and waits until all are durable.
    pub(super) async fn finish(&mut self, rest: Bytes) -> Result<()> {
        if !rest.is_empty() {
            // A small object needs no commit then.
            let alone = self.end == 0;
            self.send(rest, alone);
        }
        self.next().await?;
        self.committed().await
    }

    /// How many bytes were appended.
    pub(super) fn size(&self) -> u64 {
        self.end
    }

    fn send(&mut self, data: Bytes, stable: bool) {
        let (offset, size) = (self.end, data.len() as u64);
        self.end += size;
        if self.filling.bytes == 0 {
            self.filling.breaks = self.place.tree.session.breaks();
        }
        self.filling.bytes += size;
        self.filling.pieces.push_back((offset, data.clone()));
        self.filling.writes.push_back(self.place.write(offset, data, stable));
    }

    /// Commits what is there, and begins a new segment.
    async fn next(&mut self) -> Result<()> {
        self.committed().await?;
        let segment = std::mem::take(&mut self.filling);
        if !segment.pieces.is_empty() {
            self.committing = Some(Task::spawn(commit(self.place.clone(), segment)));
        }
        Ok(())
    }

    async fn committed(&mut self) -> Result<()> {
        match self.committing.take() {
            Some(task) => self.place.cx.run(task.wait()).await,
            None => Ok(()),
        }
    }
}

impl Segment {
    /// Takes the answers that came, so that an error is not told only at the end.
    async fn look(&mut self) -> Result<()> {
        while let Some(write) = self.writes.pop_front_if(|write| write.is_finished()) {
            self.note(write.wait().await?);
        }
        Ok(())
    }

    async fn all(&mut self) -> Result<Written> {
        while let Some(write) = self.writes.pop_front() {
            self.note(write.wait().await?);
        }
        Ok(self.written.take().unwrap_or(Written::Stable))
    }

    fn note(&mut self, written: Written) {
        self.written = Some(self.written.map_or(written, |before| before.and(written)));
    }
}

/// Waits for the writes of a segment and commits them; writes them again as long as the server restarts in between.
async fn commit(place: Place, mut segment: Segment) -> Result<()> {
    let start = segment.pieces.front().map_or(0, |(offset, _)| *offset);
    for repetition in 0..REPETITIONS {
        match segment.all().await? {
            Written::Stable => return Ok(()),
            Written::Unstable(verifier)
                if place.commit(start, segment.bytes).await? == verifier
                    && (place.tree.session.breaks() == segment.breaks || repetition >= DISTRUST) =>
            {
                return Ok(());
            }
            _ => {}
        }
        let (file, bytes) = (place.file.path(), segment.bytes);
        tracing::info!(file, bytes, "the server may have restarted; writing again what it may have lost");
        segment.breaks = place.tree.session.breaks();
        segment.writes = segment.pieces.iter().map(|(offset, data)| place.write(*offset, data.clone(), false)).collect();
    }
    let text = format!("`{}`: the server lost the same bytes {REPETITIONS} times", place.file.path());
    Err(Error::new(&NFS_LOST_WRITES, text))
}

impl Place {
    /// Writes bytes in a task of its own.
    fn write(&self, offset: u64, data: Bytes, stable: bool) -> Task<Written> {
        let place = self.clone();
        Task::spawn(async move { place.write_all(offset, data, stable).await })
    }

    async fn write_all(&self, mut offset: u64, mut data: Bytes, stable: bool) -> Result<Written> {
        let mut written = Written::Stable;
        while !data.is_empty() {
            let (cx, tree, piece) = (&self.cx, &*self.tree, &data);
            let wrote =
                self.file.with(cx, tree, |file| async move { tree.session.write(cx, &file, offset, piece, stable).await }).await;
            let wrote = wrote.map_err(|fault| self.failed(fault, "writing"))?;
            if wrote.count == 0 {
                return Err(self.failed(Fault::Status(Status::NFS3ERR_IO), "writing (the server took nothing)"));
            }
            written = written.and(wrote.into());
            offset += u64::from(wrote.count);
            let _ = data.split_to(wrote.count as usize);
        }
        Ok(written)
    }

    async fn commit(&self, offset: u64, bytes: u64) -> Result<Verifier> {
        let (cx, tree, count) = (&self.cx, &*self.tree, u32::try_from(bytes).unwrap_or(0));
        let committed = self.file.with(cx, tree, |file| async move { tree.session.commit(cx, &file, offset, count).await }).await;
        committed.map_err(|fault| self.failed(fault, "making durable"))
    }

    fn failed(&self, fault: Fault, doing: &str) -> Error {
        invisible(failed(fault, doing, &self.file.path()))
    }
}
