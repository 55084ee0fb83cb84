//! Metadata, whole and hostile.

pub(in crate::br) mod encoder;
mod hostile;
mod whole;

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use backup_core::error::codes as core;
use backup_core::source::ArtifactStream;
use backup_core::testkit::{test_context, test_environment};
use backup_core::{ArtifactName, Bytes, Error, JobContext, Result};
use futures::{StreamExt, stream};

use super::{BackupMeta, Files, Listed, walk};
use crate::br::config::Encryption;

pub(in crate::br) fn cx() -> JobContext {
    test_context(&test_environment(1).0)
}

/// Files in memory, read in pieces of a size.
struct Memory<'a> {
    files: &'a BTreeMap<String, Vec<u8>>,
    piece: usize,
}

#[async_trait]
impl Files for Memory<'_> {
    async fn open(&self, _: &JobContext, name: &ArtifactName) -> Result<ArtifactStream> {
        let bytes = self.files.get(name.as_str()).ok_or_else(|| Error::new(&core::STORE_NOT_FOUND, name.to_string()))?;
        let pieces: Vec<_> = bytes.chunks(self.piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(stream::iter(pieces).boxed())
    }
}

type Found = (BackupMeta, Vec<Listed>);

async fn read(files: &BTreeMap<String, Vec<u8>>, encryption: Option<&Encryption>, piece: usize) -> Result<Found> {
    let listed = Mutex::new(Vec::new());
    let meta = walk(&cx(), &Memory { files, piece }, encryption, &mut |file| {
        listed.lock().unwrap().push(file);
        Ok(())
    })
    .await?;
    let mut listed = listed.into_inner().unwrap();
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((meta, listed))
}

/// Reads a single `backupmeta`.
async fn parse(bytes: &[u8], piece: usize) -> Result<BackupMeta> {
    Ok(read(&BTreeMap::from([("backupmeta".into(), bytes.to_vec())]), None, piece).await?.0)
}
