//! One gzip member (RFC 1952) of chunks that were deflated (RFC 1951) apart from each other.
//!
//! Each chunk ends with an empty stored block (a sync flush), hence at a byte border, and none has the final bit. The end of the
//! plaintext before a chunk is its dictionary: matches reach back over the border as in a stream that was compressed in one go.

use std::sync::Arc;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};

use super::EncodedChunk;
use super::pool::Pool;
use crate::error::{Error, Result, codes};

/// Bytes of a chunk: a sync flush costs about ten bytes, and so little is then lost below what a reader would notice.
pub(super) const CHUNK: usize = 512 << 10;

/// How far deflate looks back.
pub(super) const WINDOW: usize = 32 << 10;

/// CRC-32 and length of a chunk, or of all chunks so far.
#[derive(Debug, Default)]
pub(crate) struct ChunkCheck {
    crc: Crc,
    len: u64,
}

impl ChunkCheck {
    fn of(chunk: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(chunk);
        Self { crc, len: chunk.len() as u64 }
    }

    /// For a format that keeps its checksums within the chunks.
    #[cfg(feature = "zstd")]
    pub(super) fn of_len(chunk: &[u8]) -> Self {
        Self { crc: Crc::new(), len: chunk.len() as u64 }
    }

    /// Adds the check of the chunk that comes next in the stream.
    pub(crate) fn append(&mut self, next: &ChunkCheck) {
        self.crc.combine(&next.crc);
        self.len += next.len;
    }

    /// Bytes of plaintext.
    #[cfg(feature = "zstd")]
    pub(super) fn len(&self) -> u64 {
        self.len
    }
}

/// Deflates chunks.
#[derive(Debug, Clone)]
pub(super) struct GzipEncoder {
    level: u32,
    idle: Arc<Pool<Deflater>>,
}

struct Deflater {
    compress: Compress,
    /// Kept, so that the chunk handed out has just the size it needs.
    scratch: Vec<u8>,
}

impl GzipEncoder {
    pub(super) fn new(level: u32) -> Self {
        Self { level, idle: Arc::new(Pool::new()) }
    }

    /// No name, no time (the same input gives the same file), operating system unknown.
    pub(super) fn head(&self) -> Bytes {
        let extra_flags = match self.level {
            1 => 4,
            9 => 2,
            _ => 0,
        };
        Bytes::copy_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, extra_flags, 255])
    }

    pub(super) fn encode(&self, window: &[u8], chunk: &[u8]) -> Result<EncodedChunk> {
        if chunk.is_empty() {
            return Ok(EncodedChunk { bytes: Bytes::new(), check: ChunkCheck::default() });
        }
        // One that failed is dropped, not put back.
        let mut deflater = self.idle.take().unwrap_or_else(|| Deflater::new(self.level));
        let bytes = deflater.deflate(window, chunk)?;
        self.idle.put(deflater);
        Ok(EncodedChunk { bytes, check: ChunkCheck::of(chunk) })
    }
}

impl Deflater {
    fn new(level: u32) -> Self {
        Self { compress: Compress::new(Compression::new(level), false), scratch: Vec::new() }
    }

    fn deflate(&mut self, window: &[u8], mut chunk: &[u8]) -> Result<Bytes> {
        let failed = |error| Error::new(&codes::INTERNAL, "deflate failed on a chunk").with_source(error);
        self.compress.reset();
        self.scratch.clear();
        let dictionary = window.get(window.len().saturating_sub(WINDOW)..).unwrap_or(window);
        if !dictionary.is_empty() {
            self.compress.set_dictionary(dictionary).map_err(failed)?;
        }
        // Enough for what does not compress at all; the loop grows it if not.
        self.scratch.reserve(chunk.len() + chunk.len() / 256 + 64);
        loop {
            let before = self.compress.total_in();
            self.compress.compress_vec(chunk, &mut self.scratch, FlushCompress::Sync).map_err(failed)?;
            let taken = usize::try_from(self.compress.total_in() - before).unwrap_or(usize::MAX);
            chunk = chunk.get(taken..).unwrap_or_default();
            // A full buffer says that the flush may not be through.
            if chunk.is_empty() && self.scratch.len() < self.scratch.capacity() {
                return Ok(Bytes::copy_from_slice(&self.scratch));
            }
            self.scratch.reserve(chunk.len() + 64);
        }
    }
}

/// An empty final block, CRC-32 and length modulo 2^32.
pub(super) fn tail(check: &ChunkCheck) -> Bytes {
    let mut tail = vec![3, 0];
    tail.extend_from_slice(&check.crc.sum().to_le_bytes());
    tail.extend_from_slice(&(check.len as u32).to_le_bytes());
    tail.into()
}
