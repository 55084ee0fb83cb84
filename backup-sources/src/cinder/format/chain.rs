//! A backup and those that it builds on.

use backup_core::{BackupReader, Error, JobContext, Result, ResultExt};

use super::metadata::{Metadata, Object};
use super::parts::Parts;
use super::shafile::ShaReader;
use super::{Written, codes};

/// Backups that build on one another, the full one first.
pub(super) struct Chain<'a> {
    pub(super) links: Vec<Link<'a>>,
    /// The volume's size in bytes.
    pub(super) size: u64,
    /// Bytes of a block.
    pub(super) block: u64,
}

/// One of them.
pub(super) struct Link<'a> {
    pub(super) reader: &'a dyn BackupReader,
    pub(super) parts: Parts,
    pub(super) metadata: Metadata,
}

impl<'a> Link<'a> {
    pub(super) async fn open(cx: &JobContext, reader: &'a dyn BackupReader) -> Result<Self> {
        let parts = Parts::of(reader)?;
        let metadata = Metadata::read(cx, reader, &parts).await?;
        if let Ok(written) = Written::of(reader.manifest())
            && (&written.backup_id, &written.volume_id, &written.parent_id)
                != (&metadata.backup_id, &metadata.volume_id, &metadata.parent_id)
        {
            return Err(Error::new(&codes::DAMAGED, format!("{} is of another backup than the manifest says", parts.metadata)));
        }
        Ok(Self { reader, parts, metadata })
    }

    pub(super) fn objects(&self) -> &[Object] {
        &self.metadata.objects
    }

    /// Looks that it builds on `parent`.
    pub(super) fn check_parent(&self, parent: Option<&Link<'_>>) -> Result<()> {
        let metadata = &self.metadata;
        let found = parent.map(|parent| &parent.metadata.backup_id);
        if metadata.parent_id.as_ref() != found {
            let what =
                format!("backup {} builds on {:?}, and before it there is {found:?}", metadata.backup_id, metadata.parent_id);
            return Err(Error::new(&codes::OTHER_PARENT, what));
        }
        match parent.filter(|parent| parent.metadata.volume_id != metadata.volume_id) {
            Some(_) => {
                let what = format!("backup {} is of another volume than what it builds on", metadata.backup_id);
                Err(Error::new(&codes::OTHER_PARENT, what))
            }
            None => Ok(()),
        }
    }

    /// Looks that the objects suit a volume of `size` bytes in blocks of `block`.
    pub(super) fn check_places(&self, size: u64, block: u64) -> Result<()> {
        let whole = |object: &&Object| {
            object.offset.is_multiple_of(block)
                && (object.end().is_multiple_of(block) || object.end() == size)
                && object.end() <= size
        };
        if let Some(bad) = self.objects().iter().find(|object| !whole(object)) {
            let what = format!("{} bytes at {} are not whole blocks of a volume of {size} bytes", bad.length, bad.offset);
            return Err(Error::new(&codes::DAMAGED, format!("{}: {what}", self.parts.name(bad.part)?)));
        }
        let full = self.metadata.parent_id.is_none();
        match full && !(self.metadata.is_gapless() && self.metadata.end() == size) {
            true => Err(Error::new(&codes::DAMAGED, format!("the objects of {} do not cover the volume", self.parts.metadata))),
            false => Ok(()),
        }
    }
}

impl<'a> Chain<'a> {
    /// Reads what the backups consist of, oldest first, and looks that they fit together. The digests of the newest come with them.
    pub(super) async fn open(cx: &JobContext, readers: &[&'a dyn BackupReader]) -> Result<(Self, ShaReader)> {
        let mut links: Vec<Link<'a>> = Vec::with_capacity(readers.len());
        for reader in readers {
            let link = Link::open(cx, *reader).await.context(|| format!("backup {}", reader.manifest().id))?;
            link.check_parent(links.last())?;
            links.push(link);
        }
        let newest = links.last().ok_or_else(|| Error::new(&backup_core::error::codes::INTERNAL, "a chain of no backups"))?;
        let digests = ShaReader::open(cx, newest.reader, &newest.parts.sha256file).await?;
        let (size, block) = (links.first().map_or(0, |full| full.metadata.end()), digests.block());
        for link in &links {
            link.check_places(size, block).context(|| format!("backup {}", link.metadata.backup_id))?;
            if let Ok(written) = Written::of(link.reader.manifest())
                && written.size != size
            {
                let what = format!("backup {} is of {} bytes, and the full one of {size}", written.backup_id, written.size);
                return Err(Error::new(&codes::DAMAGED, what));
            }
        }
        Ok((Self { links, size, block }, digests))
    }
}
