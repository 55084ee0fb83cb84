//! Compression of one artifact on several cores, in the field's own formats: what comes out is one gzip member (RFC 1952) or
//! Zstandard frames one after another (RFC 8878), and any `gunzip` or `zstd -d` reads it.
//!
//! The stream is `head`, then the encoded chunks in order, then `tail`. Chunks are encoded independently of each other, so that
//! a pool of threads can do it in any order; only their checks have to be appended in the order of the stream.

mod decoder;
mod gunzip;
mod gzip;
mod pool;
#[cfg(feature = "zstd")]
mod zstd;

use bytes::Bytes;

pub(crate) use decoder::Decoder;
pub(crate) use gzip::ChunkCheck;

use crate::error::{Error, Result, codes};
use crate::manifest::Compression;

/// Compresses chunks of one stream. Cheap to clone; clones share the memory of the compressors.
#[derive(Debug, Clone)]
pub(crate) struct ChunkEncoder(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Gzip(gzip::GzipEncoder),
    #[cfg(feature = "zstd")]
    Zstd(zstd::ZstdEncoder),
}

/// A compressed chunk.
#[derive(Debug)]
pub(crate) struct EncodedChunk {
    /// Its place in the stream is directly behind the chunk before it.
    pub(crate) bytes: Bytes,
    /// What the tail needs to know of it.
    pub(crate) check: ChunkCheck,
}

impl ChunkEncoder {
    /// An encoder, or `None` for [`Compression::None`]. Without a level: 6 for gzip, 3 for zstd, as the tools do.
    ///
    /// # Errors
    /// `input.invalid` for a level that the format does not have, for a level without compression, and for zstd in a program
    /// that was built without it.
    pub(crate) fn new(compression: Compression, level: Option<u32>) -> Result<Option<Self>> {
        match compression {
            Compression::None if level.is_some() => {
                Err(Error::new(&codes::INPUT_INVALID, "a compression level is set, but compression is `none`"))
            }
            Compression::None => Ok(None),
            Compression::Gzip => {
                let level = level_within("gzip", level, 6, 1..=9)?;
                Ok(Some(Self(Kind::Gzip(gzip::GzipEncoder::new(level)))))
            }
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                let level = level_within("zstd", level, 3, 1..=19)?;
                Ok(Some(Self(Kind::Zstd(zstd::ZstdEncoder::new(level)))))
            }
            #[cfg(not(feature = "zstd"))]
            Compression::Zstd => Err(Error::new(
                &codes::INPUT_INVALID,
                "compression `zstd` is not in this program: build backup-core with its feature `zstd`, or use `gzip`",
            )),
        }
    }

    /// How many bytes of plaintext a chunk has, the last one excepted. Other sizes work, too, and compress worse or in parallel
    /// less.
    pub(crate) fn chunk_size(&self) -> usize {
        match &self.0 {
            Kind::Gzip(_) => gzip::CHUNK,
            #[cfg(feature = "zstd")]
            Kind::Zstd(_) => zstd::CHUNK,
        }
    }

    /// How many bytes of plaintext directly before a chunk [`encode`](Self::encode) wants to see.
    pub(crate) fn window(&self) -> usize {
        match &self.0 {
            Kind::Gzip(_) => gzip::WINDOW,
            #[cfg(feature = "zstd")]
            Kind::Zstd(_) => 0,
        }
    }

    /// What stands before the first chunk.
    pub(crate) fn head(&self) -> Bytes {
        match &self.0 {
            Kind::Gzip(encoder) => encoder.head(),
            #[cfg(feature = "zstd")]
            Kind::Zstd(_) => Bytes::new(),
        }
    }

    /// Compresses one chunk. `window` is the plaintext directly before it (empty for the first one); only its last
    /// [`window`](Self::window) bytes count. Takes CPU time: not for an async thread.
    ///
    /// # Errors
    /// `internal.error` when the compressor fails, for instance without memory.
    pub(crate) fn encode(&self, window: &[u8], chunk: &[u8]) -> Result<EncodedChunk> {
        match &self.0 {
            Kind::Gzip(encoder) => encoder.encode(window, chunk),
            #[cfg(feature = "zstd")]
            Kind::Zstd(encoder) => encoder.encode(chunk),
        }
    }

    /// What stands behind the last chunk; `check` is that of all chunks, [appended](ChunkCheck::append) in order.
    ///
    /// # Errors
    /// `internal.error` when the compressor fails.
    pub(crate) fn tail(&self, check: &ChunkCheck) -> Result<Bytes> {
        match &self.0 {
            Kind::Gzip(_) => Ok(gzip::tail(check)),
            #[cfg(feature = "zstd")]
            Kind::Zstd(encoder) => encoder.tail(check),
        }
    }
}

fn level_within(format: &str, level: Option<u32>, default: u32, levels: std::ops::RangeInclusive<u32>) -> Result<u32> {
    let level = level.unwrap_or(default);
    if !levels.contains(&level) {
        let (low, high) = (levels.start(), levels.end());
        return Err(Error::new(
            &codes::INPUT_INVALID,
            format!("compression level {level} of {format} is not within {low} to {high}"),
        ));
    }
    Ok(level)
}

#[cfg(test)]
mod tests;
