//! What an incremental backup builds on.

use backup_core::{BackupReader, Digest, Error, JobContext, Result};

use super::metadata::Metadata;
use super::parts::Parts;
use super::shafile::ShaReader;
use super::{BLOCK, NewBackup, Written, codes};

/// The parent's digests, read in step.
pub(super) struct Base {
    pub(super) backup_id: String,
    digests: ShaReader,
    /// Its size is known, and is the volume's.
    sized: bool,
}

impl Base {
    /// # Errors
    /// `cinder.grown`, `cinder.other_parent`; `cinder.damaged`; those of the reader.
    pub(super) async fn open(cx: &JobContext, parent: &dyn BackupReader, backup: &NewBackup) -> Result<Self> {
        let parts = Parts::of(parent)?;
        let (backup_id, volume_id, size) = match Written::of(parent.manifest()) {
            Ok(written) => (written.backup_id, written.volume_id, Some(written.size)),
            // One of Cinder's own.
            Err(_) => {
                let metadata = Metadata::read(cx, parent, &parts).await?;
                let size = metadata.parent_id.is_none().then(|| metadata.end());
                (metadata.backup_id, metadata.volume_id, size)
            }
        };
        if volume_id != backup.volume_id {
            let what = format!("the parent {backup_id} is of volume {volume_id}, not of {}", backup.volume_id);
            return Err(Error::new(&codes::OTHER_PARENT, what));
        }
        if let Some(size) = size.filter(|size| *size != backup.size) {
            let what = format!("the volume has {} bytes, and the parent {backup_id} is of {size}", backup.size);
            return Err(Error::new(&codes::GROWN, what));
        }
        let digests = ShaReader::open(cx, parent, &parts.sha256file).await?;
        if digests.block() != BLOCK {
            let what = format!("the parent {backup_id} is of blocks of {} bytes", digests.block());
            return Err(Error::new(&codes::GROWN, what));
        }
        Ok(Self { backup_id, digests, sized: size.is_some() })
    }

    /// The next digests.
    pub(super) async fn digests(&mut self, count: u64) -> Result<Vec<Digest>> {
        let mut digests = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        match self.digests.next(count, &mut digests).await {
            Ok(()) => Ok(digests),
            Err(error) => Err(other_size(error, self.sized)),
        }
    }

    /// Reads to the end, where the whole was checked.
    pub(super) async fn finish(self) -> Result<()> {
        let head = self.digests.finish().await.map_err(|error| other_size(error, self.sized))?;
        match head.backup_id.as_deref() == Some(&self.backup_id) {
            true => Ok(()),
            false => {
                let what = format!("the digests of the parent {} are those of {:?}", self.backup_id, head.backup_id);
                Err(Error::new(&codes::DAMAGED, what))
            }
        }
    }
}

/// Where nothing else says the size, another number of digests does.
fn other_size(error: Error, sized: bool) -> Error {
    match !sized && *error.code() == codes::DAMAGED {
        true => Error::new(&codes::GROWN, "the volume may have another size than the parent").with_source(error),
        false => error,
    }
}
