//! Zstandard frames one after another (RFC 8878): each chunk is a frame with its size and a checksum.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer};

use super::pool::Pool;
use super::{ChunkCheck, EncodedChunk};
use crate::error::{Error, Result, codes};

/// Bytes of a chunk: matches do not reach over frames, so that small ones compress worse; a bigger one than this gains
/// less than 1 % at the default level.
pub(super) const CHUNK: usize = 2 << 20;

/// Base-2 logarithm of the biggest window that is read: 128 MiB, the limit of `zstd -d` without options.
const WINDOW_LOG_MAX: u32 = 27;

/// Compresses chunks to frames.
#[derive(Debug, Clone)]
pub(super) struct ZstdEncoder {
    level: i32,
    idle: Arc<Pool<Framer>>,
}

struct Framer {
    compressor: Compressor<'static>,
    /// Kept, so that the frame handed out has just the size it needs.
    scratch: Vec<u8>,
}

impl ZstdEncoder {
    pub(super) fn new(level: u32) -> Self {
        Self { level: level.cast_signed(), idle: Arc::new(Pool::new()) }
    }

    pub(super) fn encode(&self, chunk: &[u8]) -> Result<EncodedChunk> {
        if chunk.is_empty() {
            return Ok(EncodedChunk { bytes: Bytes::new(), check: ChunkCheck::default() });
        }
        Ok(EncodedChunk { bytes: self.frame(chunk)?, check: ChunkCheck::of_len(chunk) })
    }

    /// Nothing, unless nothing at all was written: a file without a frame is no zstd file.
    pub(super) fn tail(&self, check: &ChunkCheck) -> Result<Bytes> {
        if check.len() == 0 { self.frame(&[]) } else { Ok(Bytes::new()) }
    }

    fn frame(&self, chunk: &[u8]) -> Result<Bytes> {
        let failed = |error| Error::new(&codes::INTERNAL, "zstd failed on a chunk").with_source(error);
        // One that failed is dropped, not put back.
        let mut framer = match self.idle.take() {
            Some(framer) => framer,
            None => Framer::new(self.level).map_err(failed)?,
        };
        framer.scratch.clear();
        framer.scratch.reserve(zstd_safe::compress_bound(chunk.len()));
        framer.compressor.compress_to_buffer(chunk, &mut framer.scratch).map_err(failed)?;
        let bytes = Bytes::copy_from_slice(&framer.scratch);
        self.idle.put(framer);
        Ok(bytes)
    }
}

impl Framer {
    fn new(level: i32) -> std::io::Result<Self> {
        let mut compressor = Compressor::new(level)?;
        compressor.include_contentsize(true)?;
        compressor.include_checksum(true)?;
        Ok(Self { compressor, scratch: Vec::new() })
    }
}

/// Reads frames, skippable ones included.
pub(super) struct ZstdDecoder {
    context: DCtx<'static>,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// No byte was read yet.
    Start,
    Inside,
    Between,
}

impl ZstdDecoder {
    pub(super) fn new() -> Result<Self> {
        let no_memory = || Error::new(&codes::INTERNAL, "there is no memory for a zstd decoder");
        let mut context = DCtx::try_create().ok_or_else(no_memory)?;
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
            .map_err(|code| Error::new(&codes::INTERNAL, zstd_safe::get_error_name(code)))?;
        Ok(Self { context, place: Place::Start })
    }

    /// `output` has at most `limit` bytes of spare capacity, see [`super::decoder`].
    pub(super) fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize> {
        let position = output.len();
        let capacity = output.capacity();
        let mut source = InBuffer::around(input);
        let mut target = OutBuffer::around_pos(output, position);
        // Between two frames an empty input is the end, not a beginning.
        while target.pos() < capacity && (source.pos() < input.len() || self.place == Place::Inside) {
            let before = (source.pos(), target.pos());
            let hint = self.context.decompress_stream(&mut target, &mut source).map_err(|code| {
                super::decoder::damaged(format!("the zstd stream is damaged: {}", zstd_safe::get_error_name(code)))
            })?;
            self.place = if hint == 0 { Place::Between } else { Place::Inside };
            if (source.pos(), target.pos()) == before {
                if source.pos() < input.len() {
                    return Err(super::decoder::damaged("the zstd stream cannot be read on"));
                }
                break;
            }
        }
        Ok(source.pos())
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.place == Place::Between
    }
}

impl fmt::Debug for ZstdDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZstdDecoder").field("place", &self.place).finish_non_exhaustive()
    }
}
