//! A stored backup is looked through: everything is read and decompressed.

use backup_core::cpu::CpuPool;
use backup_core::{BackupReader, Digest, Error, ErrorKind, Inspection, JobContext, Result};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use md5::{Digest as _, Md5};

use super::Written;
use super::block::Block;
use super::chain::Link;
use super::decode::ObjectReader;
use super::metadata::Object;
use super::options::pool;
use super::shafile::ShaReader;

/// How many objects are read at a time, at most.
const MOST_AHEAD: usize = 4;

/// Bytes that are looked at together.
const PIECE: u64 = 1 << 20;

/// More faults than these are not listed.
const FAULTS: usize = 20;

/// Checks what a backup's own digests do not tell: that the metadata is whole and names all objects and no other, that they cover the
/// volume, that each holds what its length and MD5 say, that each block has its SHA-256, and that the parent is there and of the same
/// volume. Of the parents only what they say is read, not their objects.
///
/// # Errors
/// Those of the reader, where they do not tell that the backup is damaged.
///
/// # Cancel safety
/// Cancelled by `cx`.
pub async fn inspect(cx: &JobContext, reader: &dyn BackupReader) -> Result<Inspection> {
    let mut inspection = Inspection::default();
    match look_through(cx, reader, &mut inspection).await {
        Ok(()) => Ok(inspection),
        Err(error) => Ok(inspection.fault(as_fault(error)?)),
    }
}

/// What is wrong with the backup; an error that says nothing of it stays one.
fn as_fault(error: Error) -> Result<String> {
    match error.kind() {
        ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::Conflict => Ok(error.to_string()),
        _ => Err(error),
    }
}

async fn look_through(cx: &JobContext, reader: &dyn BackupReader, inspection: &mut Inspection) -> Result<()> {
    let link = Link::open(cx, reader).await?;
    inspection.checks.push("the metadata names all objects and no other".to_owned());
    let parents = reader.parents(cx).await?;
    let (mut parent, mut size): (Option<Link<'_>>, _) = (None, None);
    for next in &parents {
        let next = Link::open(cx, &**next).await?;
        next.check_parent(parent.as_ref())?;
        size = size.or(Some(next.metadata.end()));
        parent = Some(next);
    }
    link.check_parent(parent.as_ref())?;
    let size = size.unwrap_or(link.metadata.end());
    inspection.checks.push("what it builds on is there".to_owned());
    let said = Written::of(reader.manifest()).map_or(size, |written| written.size);
    if said != size {
        return Err(Error::new(&super::codes::DAMAGED, format!("the manifest says {said} bytes, and the objects are of {size}")));
    }
    let digests = ShaReader::open(cx, reader, &link.parts.sha256file).await?;
    let block = digests.block();
    link.check_places(size, block)?;
    inspection.checks.push(format!("{} objects lie within the {size} bytes of the volume", link.objects().len()));
    let base = match parent.take() {
        Some(parent) => Some(ShaReader::open(cx, parent.reader, &parent.parts.sha256file).await?),
        None => None,
    };
    let mut steps = Steps { digests, base, block, size, at: 0 };
    let looking = Looking { cx, link: &link, pool: pool(), block };
    if !looking.objects(&mut steps, &mut inspection.faults).await? {
        return Ok(());
    }
    steps.finish(&link).await?;
    inspection.checks.push("every block has its SHA-256".to_owned());
    Ok(())
}

/// The digests of a backup, and in step those of its parent.
struct Steps {
    digests: ShaReader,
    base: Option<ShaReader>,
    block: u64,
    size: u64,
    at: u64,
}

impl Steps {
    /// The digests of an object's blocks.
    async fn object(&mut self, object: &Object) -> Result<Vec<Digest>> {
        self.pass_to(object.offset).await?;
        let count = object.length.div_ceil(self.block);
        let mut right = Vec::new();
        self.digests.next(count, &mut right).await?;
        if let Some(base) = &mut self.base {
            let mut old = Vec::new();
            base.next(count, &mut old).await?;
        }
        self.at = object.end();
        Ok(right)
    }

    /// Up to a place, the digests are the parent's.
    async fn pass_to(&mut self, at: u64) -> Result<()> {
        while self.at < at {
            let length = (at - self.at).min(256 * self.block);
            let (mut own, mut old) = (Vec::new(), Vec::new());
            self.digests.next(length.div_ceil(self.block), &mut own).await?;
            if let Some(base) = &mut self.base {
                base.next(length.div_ceil(self.block), &mut old).await?;
                if own != old {
                    let what = format!(
                        "digests between {} and {} are not the parent's, and no object has these bytes",
                        self.at,
                        self.at + length
                    );
                    return Err(Error::new(&super::codes::DAMAGED, what));
                }
            }
            self.at += length;
        }
        Ok(())
    }

    async fn finish(mut self, link: &Link<'_>) -> Result<()> {
        self.pass_to(self.size).await?;
        let head = self.digests.finish().await?;
        if head.backup_id.as_ref() != Some(&link.metadata.backup_id) || head.volume_id.as_ref() != Some(&link.metadata.volume_id)
        {
            let what = format!("{} is of another backup than {}", link.parts.sha256file, link.parts.metadata);
            return Err(Error::new(&super::codes::DAMAGED, what));
        }
        match self.base {
            Some(base) => base.finish().await.map(drop),
            None => Ok(()),
        }
    }
}

struct Looking<'a> {
    cx: &'a JobContext,
    link: &'a Link<'a>,
    pool: CpuPool,
    block: u64,
}

impl Looking<'_> {
    /// Looks through all objects; false when it gave up.
    async fn objects(&self, steps: &mut Steps, faults: &mut Vec<String>) -> Result<bool> {
        let ahead = self.pool.threads().clamp(2, MOST_AHEAD);
        let (mut objects, mut looking) = (self.link.objects().iter(), FuturesOrdered::new());
        loop {
            while looking.len() < ahead
                && let Some(object) = objects.next()
            {
                let right = steps.object(object).await?;
                looking.push_back(self.object(object, right));
            }
            let Some(looked) = looking.next().await else { return Ok(true) };
            if let Err(error) = looked {
                faults.push(as_fault(error)?);
            }
            if faults.len() >= FAULTS {
                faults.push("there is more; no further faults are listed".to_owned());
                return Ok(false);
            }
        }
    }

    async fn object(&self, object: &Object, right: Vec<Digest>) -> Result<()> {
        let name = self.link.parts.name(object.part)?;
        let damaged = |why: String| Error::new(&super::codes::DAMAGED, format!("{name}: {why}"));
        let step = (PIECE / self.block).max(1) * self.block;
        let block = usize::try_from(self.block).unwrap_or(usize::MAX);
        let mut reader = ObjectReader::open(self.cx, self.link.reader, &self.link.parts, object, &self.pool).await?;
        let (mut data, mut md5, mut right) =
            (vec![0; usize::try_from(step.min(object.length)).unwrap_or_default()], Md5::new(), right);
        while reader.at() < object.length {
            self.cx.check()?;
            let at = reader.at();
            let length = usize::try_from((object.length - at).min(step)).unwrap_or_default();
            data = reader.read(data, 0..length).await?;
            let first = usize::try_from(at / self.block).unwrap_or_default();
            let look = move || {
                let bytes = data.get(..length).unwrap_or_default();
                md5.update(bytes);
                let wrong = bytes
                    .chunks(block)
                    .zip(right.iter().skip(first))
                    .position(|(bytes, right)| Block::of(bytes).digest != *right);
                (data, md5, right, wrong)
            };
            let wrong;
            (data, md5, right, wrong) = self.pool.run(look).await?;
            if let Some(index) = wrong {
                let at = object.offset + at + (index * block) as u64;
                return Err(damaged(format!("the {block} bytes at {at} of the volume do not have the SHA-256 that was noted")));
            }
            self.cx.progress().add(length as u64);
        }
        reader.finish().await?;
        match <[u8; 16]>::from(md5.finalize()) == object.md5 {
            true => Ok(()),
            false => Err(damaged("it does not have the MD5 that was noted".to_owned())),
        }
    }
}
