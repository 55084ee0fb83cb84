//! Backups in memory, and a reader of them that shares nothing with the one that is tested.

mod inspect;
mod record;
mod restore;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use backup_core::testkit::{MemoryReader, RecordingSink, SeededRandom, test_context, test_environment};
use backup_core::{BackupReader, JobContext, Random, Result, Summary};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::Value;

use super::{BLOCK, Content, NewBackup, Options, Written, write as write_backup};
use crate::cinder::access::{Extent, Extents};

pub(super) const B: usize = BLOCK as usize;
pub(super) const VOLUME: &str = "7d0d1bb2-0f6f-4d4c-9a43-3cf62e9b7ed1";

pub(super) fn context() -> JobContext {
    test_context(&test_environment(7).0)
}

/// Objects of four blocks.
pub(super) fn small() -> Options {
    Options { object_size: 4 * BLOCK, ..Options::default() }
}

pub(super) fn new_backup(id: &str, size: usize) -> NewBackup {
    NewBackup {
        backup_id: id.to_owned(),
        volume_id: VOLUME.to_owned(),
        name: "nightly \"é\"".to_owned(),
        description: None,
        created_at: "2026-11-21T09:30:00Z".parse().unwrap(),
        size: size as u64,
        volume_meta: Some("{\"version\": 2}".to_owned()),
    }
}

/// Bytes that do not get smaller.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let random = SeededRandom::new(seed);
    (0..length.div_ceil(8)).flat_map(|_| random.next_u64().to_le_bytes()).take(length).collect()
}

/// The whole volume in pieces of an odd size, long runs of zeros as such or left out.
pub(super) fn extents(volume: &[u8], piece: usize) -> Extents {
    let parts = volume.chunks(piece).zip((0..).step_by(piece)).filter_map(|(part, at)| match part.iter().all(|b| *b == 0) {
        true if (at / piece).is_multiple_of(2) => None,
        true => Some(Ok(Extent::Zero { offset: at as u64, length: part.len() as u64 })),
        false => Some(Ok(Extent::Data { offset: at as u64, bytes: Bytes::copy_from_slice(part) })),
    });
    stream::iter(parts.collect::<Vec<_>>()).boxed()
}

pub(super) fn data(ranges: &[(usize, &[u8])]) -> Extents {
    let parts: Vec<_> =
        ranges.iter().map(|(at, bytes)| Ok(Extent::Data { offset: *at as u64, bytes: Bytes::copy_from_slice(bytes) })).collect();
    stream::iter(parts).boxed()
}

/// A backup that was made, as a reader has it.
pub(super) async fn backup(
    options: &Options,
    new: &NewBackup,
    parents: &[Arc<MemoryReader>],
    content: Content,
) -> Result<(Arc<MemoryReader>, Written)> {
    let sink = RecordingSink::new();
    let parent = parents.last().map(|parent| &**parent as &dyn BackupReader);
    let written = write_backup(&context(), &sink, options, new, parent, content).await?;
    assert!(sink.open_artifacts().is_empty() && sink.abandoned().is_empty());
    assert!(sink.artifacts().iter().all(|artifact| artifact.as_is));
    let summary = Summary::default().integrity(written.integrity()?);
    let parents = parents.iter().map(|parent| Arc::clone(parent) as Arc<dyn BackupReader>).collect();
    let reader = MemoryReader::new("cinder", &summary, &sink.artifacts()).parents(parents);
    assert_eq!(Written::of(reader.manifest())?, written);
    Ok((Arc::new(reader), written))
}

pub(super) async fn artifacts(reader: &dyn BackupReader) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for name in reader.artifacts() {
        let pieces: Vec<_> = reader.open(&context(), &name).await.unwrap().collect().await;
        found.insert(name.to_string(), pieces.into_iter().flat_map(|piece| piece.unwrap()).collect());
    }
    found
}

/// Lays the objects of a backup over `volume`, and returns their offsets and lengths.
pub(super) fn lay(artifacts: &BTreeMap<String, Vec<u8>>, volume: &mut [u8]) -> Vec<(usize, usize)> {
    use std::io::Read;
    let metadata: Value = serde_json::from_slice(&artifacts["backup_metadata"]).unwrap();
    let mut places = Vec::new();
    for object in metadata["objects"].as_array().unwrap() {
        let (name, object) = object.as_object().unwrap().iter().next().unwrap();
        let stored = &artifacts[name];
        let (offset, length) = (object["offset"].as_u64().unwrap() as usize, object["length"].as_u64().unwrap() as usize);
        let mut plain = Vec::new();
        match object["compression"].as_str().unwrap() {
            "none" => plain.clone_from(stored),
            "zlib" => drop(flate2::read::ZlibDecoder::new(&**stored).read_to_end(&mut plain).unwrap()),
            // A frame that does not tell its size is of no use to Python's module.
            "zstd" => {
                plain = zstd::bulk::decompress(stored, zstd::zstd_safe::get_frame_content_size(stored).unwrap().unwrap() as usize)
                    .unwrap()
            }
            other => panic!("{other}"),
        }
        assert_eq!(plain.len(), length);
        assert_eq!(object["md5"], hex::encode(super::pack::md5_of(&plain)));
        volume[offset..offset + length].copy_from_slice(&plain);
        places.push((offset, length));
    }
    places
}

pub(super) fn assert_digests(artifacts: &BTreeMap<String, Vec<u8>>, volume: &[u8]) {
    let file: Value = serde_json::from_slice(&artifacts["backup_sha256file"]).unwrap();
    let found: Vec<_> = file["sha256s"].as_array().unwrap().iter().map(|digest| digest.as_str().unwrap().to_owned()).collect();
    let right: Vec<_> = volume.chunks(B).map(|block| backup_core::Digest::of(block).to_string()).collect();
    assert_eq!(found, right);
}
