//! A list of a million files needs as much memory as one of ten. One test alone, because it looks at the whole process.
#![cfg(all(feature = "br", target_os = "linux"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use backup_core::error::codes;
use backup_core::source::ArtifactStream;
use backup_core::testkit::MemoryReader;
use backup_core::{ArtifactName, BackupReader, Bytes, Error, JobContext, Manifest, Result, async_trait};
use backup_sources::br::meta;
use futures::{StreamExt, stream};
use support::context;
use support::memory::Memory;

const LIMIT: u64 = 8 << 20;
/// Files in one piece of the stream.
const FILES: usize = 500;

/// A `backupmeta` that is made while it is read: so many pieces, then tables with much text, and the position.
struct Endless {
    manifest: MemoryReader,
    pieces: usize,
}

fn varint(mut value: usize, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn entry(number: usize, content: &[u8], bytes: &mut Vec<u8>) {
    varint(number << 3 | 2, bytes);
    varint(content.len(), bytes);
    bytes.extend_from_slice(content);
}

fn piece(at: usize) -> Bytes {
    let mut bytes = Vec::new();
    for file in at * FILES..(at + 1) * FILES {
        let mut content = Vec::new();
        entry(1, format!("4/{file}_128_00ff12ab34cd56ef_1651132841191_write.sst").as_bytes(), &mut content);
        entry(2, &[7; 32], &mut content);
        entry(3, &[9; 80], &mut content);
        entry(4, &[9; 80], &mut content);
        content.extend([7 << 3, 5, 8 << 3, 1, 9 << 3, 2, 11 << 3, 100]);
        entry(10, b"write", &mut content);
        entry(4, &content, &mut bytes);
    }
    bytes.into()
}

/// A table whose description is longer than an entry may be that is held at once.
fn table() -> (Bytes, usize) {
    let (mut bytes, description) = (Vec::new(), 80 << 20);
    let mut head = vec![2 << 3 | 2];
    varint(description, &mut head);
    varint(7 << 3 | 2, &mut bytes);
    varint(head.len() + description, &mut bytes);
    bytes.extend(head);
    (bytes.into(), description)
}

#[async_trait]
impl BackupReader for Endless {
    fn manifest(&self) -> &Manifest {
        self.manifest.manifest()
    }

    fn artifacts(&self) -> Vec<ArtifactName> {
        Vec::new()
    }

    async fn open(&self, _: &JobContext, _: &ArtifactName) -> Result<ArtifactStream> {
        let (head, description) = table();
        let text = Bytes::from(vec![b' '; 1 << 20]);
        let text = stream::iter(std::iter::repeat_n(text, description >> 20));
        let end = stream::iter([Bytes::from_static(&[6 << 3, 5])]);
        Ok(stream::iter(0..self.pieces).map(piece).chain(stream::iter([head])).chain(text).chain(end).map(Ok).boxed())
    }

    async fn open_stored(&self, _: &JobContext, _: &ArtifactName, _: Option<std::ops::Range<u64>>) -> Result<ArtifactStream> {
        Err(Error::new(&codes::SOURCE_UNSUPPORTED, "not here"))
    }
}

#[tokio::test]
async fn memory_does_not_grow_with_the_number_of_files() {
    let size = if std::env::var("BACKUP_TEST_LONG").as_deref() == Ok("1") { 300 << 20 } else { 30 << 20 };
    let pieces = size / piece(0).len();
    let reader = Endless { manifest: MemoryReader::of("br", &[]), pieces };
    // What the first reading needs once.
    meta::read(&context(), &Endless { manifest: MemoryReader::of("br", &[]), pieces: 1 }, None).await.unwrap();
    let before = Memory::mark();
    let meta = meta::read(&context(), &reader, None).await.unwrap();
    let more = before.peak();
    println!("{} files of {size} bytes of metadata took {more} bytes of memory", meta.files);
    assert_eq!((meta.files, meta.schemas), ((pieces * FILES) as u64, 1));
    assert!(more < LIMIT, "{more} bytes more");
}
