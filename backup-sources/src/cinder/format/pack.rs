//! What the CPU does for a backup: digests, and objects of what is to be stored.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use backup_core::Digest;
use bytes::Bytes;
use flate2::{Compress, FlushCompress, Status};
use md5::{Digest as _, Md5};
use zstd::bulk::Compressor as ZstdCompressor;

use super::Window;
use super::block::{BLOCK_SIZE, Block, is_zero, zero_digest};
use super::buffers::Buffer;
use super::metadata::Codec;
use super::options::{Compression, Options};

/// Objects that take less together are copied, so that the buffers are free at once.
const SMALL: usize = 256 << 10;

/// An object as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    pub(super) bytes: Bytes,
    pub(super) length: u32,
    pub(super) codec: Codec,
    pub(super) md5: [u8; 16],
}

/// What a window of the volume became.
#[derive(Debug)]
pub(super) struct Done {
    /// The digest of each block.
    pub(super) digests: Vec<Digest>,
    /// What is stored of it, by offsets in the volume.
    pub(super) objects: Vec<(u64, Packed)>,
}

/// Makes objects. What zeros become is found once.
pub(super) struct Packer {
    compression: Compression,
    level: u32,
    compressors: Mutex<Vec<Compressor>>,
    zero_object: OnceLock<Packed>,
    object_size: usize,
}

enum Compressor {
    Zlib(Compress),
    Zstd(ZstdCompressor<'static>),
}

/// Where the bytes of an object lie.
enum Place {
    /// In the volume's bytes.
    Raw,
    /// Among what compressing made, at this place and so long.
    Out(usize, usize),
}

impl Packer {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            compression: options.compression,
            level: options.level(),
            compressors: Mutex::default(),
            zero_object: OnceLock::new(),
            object_size: usize::try_from(options.object_size).unwrap_or(usize::MAX),
        }
    }

    /// True when a window needs a second buffer, for what compressing makes.
    pub(super) fn compresses(&self) -> bool {
        self.compression != Compression::None
    }

    /// Digests of a window, and objects of what is to be stored of it. `out` is as large as the window, where
    /// [`Packer::compresses`].
    pub(super) fn pack(&self, mut window: Window, out: Option<Buffer>) -> Done {
        if window.raw.as_ref().is_some_and(|raw| is_zero(raw.as_ref().get(..window.length).unwrap_or_default())) {
            window.raw = None;
        }
        let digests = self.digests(&window);
        let runs = window.runs(&digests);
        let objects = match window.raw.take() {
            None => runs.into_iter().map(|(at, length)| (window.offset + at as u64, self.zeros(length))).collect(),
            Some(raw) => self.objects(window.offset, raw, out, &runs),
        };
        Done { digests, objects }
    }

    fn digests(&self, window: &Window) -> Vec<Digest> {
        let data = window.raw.as_ref().map(|raw| raw.as_ref().get(..window.length).unwrap_or_default());
        let of_block = |index: usize| {
            if !window.is_covered(index) {
                return window.parent_digest(index);
            }
            let at = index * BLOCK_SIZE;
            let length = BLOCK_SIZE.min(window.length - at);
            let block = data.and_then(|data| data.get(at..at + length));
            Some(block.map_or_else(|| zero_digest(length), |bytes| Block::of(bytes).digest))
        };
        // A block that nothing covers has a digest of the parent's.
        (0..window.length.div_ceil(BLOCK_SIZE)).filter_map(of_block).collect()
    }

    /// An object of zeros.
    fn zeros(&self, length: usize) -> Packed {
        let make = || {
            // Never written to, these pages are never really there.
            let data = vec![0; length];
            let mut out = vec![0; if self.compresses() { length } else { 0 }];
            let md5 = md5_of(&data);
            match self.compress(&data, &mut out) {
                Some(size) => {
                    let bytes = Bytes::copy_from_slice(out.get(..size).unwrap_or_default());
                    Packed { bytes, length: length_of(length), codec: self.codec(), md5 }
                }
                None => Packed { bytes: data.into(), length: length_of(length), codec: Codec::None, md5 },
            }
        };
        match length == self.object_size {
            true => self.zero_object.get_or_init(make).clone(),
            false => make(),
        }
    }

    fn objects(&self, offset: u64, raw: Buffer, mut out: Option<Buffer>, runs: &[(usize, usize)]) -> Vec<(u64, Packed)> {
        let mut filled = 0;
        let mut small = 0;
        let mut packed = Vec::with_capacity(runs.len());
        for (at, length) in runs.iter().copied() {
            let data = raw.as_ref().get(at..at + length).unwrap_or_default();
            let free = out.as_mut().and_then(|out| out.as_mut().get_mut(filled..)).unwrap_or_default();
            let place = match self.compress(data, free) {
                Some(size) => Place::Out(filled, size),
                None => Place::Raw,
            };
            if let Place::Out(_, size) = place {
                filled += size;
            }
            small += match place {
                Place::Out(_, size) => size,
                Place::Raw => length,
            };
            packed.push((at, length, place, md5_of(data)));
        }
        let (raw, out) = match small <= SMALL {
            true => (Shared::Copied(raw), out.map(Shared::Copied)),
            false => (Shared::Kept(Bytes::from_owner(raw)), out.map(|out| Shared::Kept(Bytes::from_owner(out)))),
        };
        let finished = packed.into_iter().map(|(at, length, place, md5)| {
            let (codec, bytes) = match place {
                Place::Raw => (Codec::None, raw.slice(at, length)),
                Place::Out(start, size) => (self.codec(), out.as_ref().map(|out| out.slice(start, size)).unwrap_or_default()),
            };
            (offset + at as u64, Packed { bytes, length: length_of(length), codec, md5 })
        });
        finished.collect()
    }

    fn codec(&self) -> Codec {
        match self.compression {
            Compression::Zlib => Codec::Zlib,
            Compression::Zstd => Codec::Zstd,
            Compression::None => Codec::None,
        }
    }

    /// How many bytes it took; `None` when it does not get smaller.
    fn compress(&self, data: &[u8], out: &mut [u8]) -> Option<usize> {
        let room = data.len().checked_sub(1)?.min(out.len());
        let out = out.get_mut(..room)?;
        let idle = self.compressors.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut compressor = match idle {
            Some(compressor) => compressor,
            None => self.compressor()?,
        };
        let size = match &mut compressor {
            Compressor::Zlib(zlib) => {
                zlib.reset();
                match zlib.compress(data, out, FlushCompress::Finish) {
                    Ok(Status::StreamEnd) => usize::try_from(zlib.total_out()).ok(),
                    _ => None,
                }
            }
            // Its only error here is that there is not enough room.
            Compressor::Zstd(zstd) => zstd.compress_to_buffer(data, out).ok(),
        };
        self.compressors.lock().unwrap_or_else(PoisonError::into_inner).push(compressor);
        size
    }

    fn compressor(&self) -> Option<Compressor> {
        match self.compression {
            Compression::Zlib => Some(Compressor::Zlib(Compress::new(flate2::Compression::new(self.level), true))),
            Compression::Zstd => ZstdCompressor::new(i32::try_from(self.level).ok()?).ok().map(Compressor::Zstd),
            Compression::None => None,
        }
    }
}

/// A buffer that objects are parts of.
enum Shared {
    Kept(Bytes),
    Copied(Buffer),
}

impl Shared {
    fn slice(&self, at: usize, length: usize) -> Bytes {
        match self {
            Self::Kept(bytes) => bytes.slice(at..at + length),
            Self::Copied(buffer) => Bytes::copy_from_slice(buffer.as_ref().get(at..at + length).unwrap_or_default()),
        }
    }
}

/// Objects are far smaller than 4 GiB.
fn length_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

pub(super) fn md5_of(data: &[u8]) -> [u8; 16] {
    Md5::digest(data).into()
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").field("compression", &self.compression).field("level", &self.level).finish_non_exhaustive()
    }
}
