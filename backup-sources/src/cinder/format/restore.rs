//! A volume is brought back.

use std::collections::VecDeque;
use std::ops::Range;

use backup_core::cpu::CpuPool;
use backup_core::{BackupReader, Digest, Error, JobContext, Result};
use bytes::Bytes;
use futures::stream::FuturesOrdered;
use futures::{StreamExt, future};
use tokio::sync::mpsc;

use super::block::Block;
use super::chain::Chain;
use super::codes;
use super::decode::ObjectReader;
use super::metadata::Object;
use super::options::pool;
use super::plan::{Part, Piece, Plan};
use super::shafile::ShaReader;
use crate::cinder::access::VolumeWriter;

/// How many pieces are read at a time, at most.
const MOST_AHEAD: usize = 4;

/// How many objects that reach across pieces are open at a time. An older one that newer ones interrupt more often is opened again.
const OPEN: usize = 4;

/// The most that a writer is given at a time.
const WRITE: usize = 4 << 20;

/// Writes a volume as it was when `reader`'s backup was made, with those that it builds on.
///
/// # Behavior
/// Offsets grow, and each byte is read once, from the newest backup that has it. No block is written before its SHA-256 was checked.
/// On a `fresh` volume, which reads as zeros, zeros are left out. The writer is not finished: that is the caller's.
/// Returns the volume's size. About 48 MiB are in use, whatever the volume's size, and some 60 bytes an object.
///
/// # Errors
/// `cinder.damaged`, `cinder.other_parent`, `cinder.format` before anything is written where metadata alone tells; afterwards the volume is not
/// whole. Those of the readers and the writer.
///
/// # Cancel safety
/// Cancelled by `cx`.
pub async fn restore(cx: &JobContext, reader: &dyn BackupReader, writer: &mut dyn VolumeWriter, fresh: bool) -> Result<u64> {
    let parents = reader.parents(cx).await?;
    let readers: Vec<&dyn BackupReader> = parents.iter().map(|parent| &**parent).chain([reader]).collect();
    let (chain, mut digests) = Chain::open(cx, &readers).await?;
    cx.progress().expect(chain.size);
    let restoring = Restoring { cx, chain: &chain, pool: pool() };
    let (to, mut from) = mpsc::channel(1);
    let reading = restoring.read(&mut digests, to);
    let writing = async {
        while let Some(ready) = from.recv().await {
            restoring.write(ready, writer, fresh).await?;
        }
        // Who reads ends when nobody takes any more.
        drop(from);
        Ok(())
    };
    // Neither is dropped half-way: a write ends before the writer is given back.
    let (read, written): (Result<()>, Result<()>) = future::join(reading, writing).await;
    written.and(read)?;
    let newest = chain.links.last().map(|link| &link.metadata.backup_id);
    if digests.finish().await?.backup_id.as_ref() != newest {
        return Err(Error::new(&codes::DAMAGED, "the digests are those of another backup"));
    }
    Ok(chain.size)
}

struct Restoring<'a> {
    cx: &'a JobContext,
    chain: &'a Chain<'a>,
    pool: CpuPool,
}

/// Checked bytes of the volume.
struct Ready {
    offset: u64,
    data: Bytes,
    /// Runs of zeros and of other blocks.
    runs: Vec<(bool, Range<usize>)>,
}

impl Restoring<'_> {
    async fn read(&self, digests: &mut ShaReader, to: mpsc::Sender<Ready>) -> Result<()> {
        let ahead = self.pool.threads().clamp(2, MOST_AHEAD);
        let mut across = Open::default();
        let mut under_way = FuturesOrdered::new();
        for piece in Plan::new(self.chain) {
            let right = self.digests(digests, &piece.range).await?;
            while under_way.len() >= if piece.alone { ahead } else { 1 } {
                let Some(ready) = under_way.next().await.transpose()? else { break };
                if to.send(ready).await.is_err() {
                    return Ok(());
                }
            }
            match piece.alone {
                true => under_way.push_back(self.piece(piece, right)),
                false if to.send(self.checked(piece, right, &mut across).await?).await.is_err() => return Ok(()),
                false => {}
            }
        }
        while let Some(ready) = under_way.next().await.transpose()? {
            if to.send(ready).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn digests(&self, from: &mut ShaReader, range: &Range<u64>) -> Result<Vec<Digest>> {
        let mut digests = Vec::new();
        from.next((range.end - range.start).div_ceil(self.chain.block), &mut digests).await?;
        Ok(digests)
    }

    async fn piece(&self, piece: Piece, right: Vec<Digest>) -> Result<Ready> {
        self.checked(piece, right, &mut Open::default()).await
    }

    /// Puts a piece together and checks it.
    async fn checked(&self, piece: Piece, right: Vec<Digest>, open: &mut Open) -> Result<Ready> {
        self.cx.check()?;
        let length = usize::try_from(piece.range.end - piece.range.start).unwrap_or_default();
        let mut data = vec![0; length];
        for part in &piece.parts {
            data = self.part(&piece.range, part, data, open).await?;
        }
        open.pass(piece.range.end);
        let (offset, block) = (piece.range.start, usize::try_from(self.chain.block).unwrap_or(usize::MAX));
        let check = move || {
            let mut runs: Vec<(bool, Range<usize>)> = Vec::new();
            for (index, (bytes, right)) in data.chunks(block).zip(&right).enumerate() {
                let at = index * block;
                let Block { zero, digest } = Block::of(bytes);
                if digest != *right {
                    return Err(offset + at as u64);
                }
                let end = at + bytes.len();
                match runs.last_mut() {
                    Some((kind, run)) if *kind == zero => run.end = end,
                    _ => runs.push((zero, at..end)),
                }
            }
            Ok(Ready { offset, data: data.into(), runs })
        };
        self.pool.run(check).await?.map_err(|at| {
            Error::new(&codes::DAMAGED, format!("the {block} bytes at {at} of the volume do not have the SHA-256 that was noted"))
        })
    }

    async fn part(&self, window: &Range<u64>, part: &Part, mut data: Vec<u8>, open: &mut Open) -> Result<Vec<u8>> {
        let Some(link) = self.chain.links.get(part.link) else { return Ok(data) };
        for range in &part.ranges {
            let at = range.start - part.object.offset;
            let mut object = match open.take(part.link, &part.object, at) {
                Some(object) => object,
                None => ObjectReader::open(self.cx, link.reader, &link.parts, &part.object, &self.pool).await?,
            };
            object.pass_to(at).await?;
            let place = |at: u64| usize::try_from(at - window.start).unwrap_or(usize::MAX);
            data = object.read(data, place(range.start)..place(range.end)).await?;
            match range.end == part.object.end() {
                true => object.finish().await?,
                false => open.keep(part.link, part.object, object),
            }
        }
        Ok(data)
    }

    async fn write(&self, ready: Ready, writer: &mut dyn VolumeWriter, fresh: bool) -> Result<()> {
        for (zero, run) in ready.runs {
            let offset = ready.offset + run.start as u64;
            match zero {
                true if fresh => {}
                true => writer.zero(offset, run.len() as u64).await?,
                false => {
                    for start in run.clone().step_by(WRITE) {
                        let end = run.end.min(start + WRITE);
                        writer.write(ready.offset + start as u64, ready.data.slice(start..end)).await?;
                    }
                }
            }
        }
        self.cx.progress().add(ready.data.len() as u64);
        self.cx.check()
    }
}

/// Objects that were begun, the one that was used last at the end.
#[derive(Default)]
struct Open(VecDeque<(usize, Object, ObjectReader)>);

impl Open {
    /// The object, unless it was read beyond `at`.
    fn take(&mut self, link: usize, object: &Object, at: u64) -> Option<ObjectReader> {
        let found = self.0.iter().position(|(its, other, _)| *its == link && other.offset == object.offset)?;
        let (_, _, reader) = self.0.remove(found)?;
        (reader.at() <= at).then_some(reader)
    }

    fn keep(&mut self, link: usize, object: Object, reader: ObjectReader) {
        if self.0.len() >= OPEN {
            self.0.pop_front();
        }
        self.0.push_back((link, object, reader));
    }

    /// Lets go of what ends before a place.
    fn pass(&mut self, at: u64) {
        self.0.retain(|(_, object, _)| object.end() > at);
    }
}
