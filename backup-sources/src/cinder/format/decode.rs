//! An object's bytes of the volume, piece by piece: objects of two gigabytes are read as those of a few megabytes are.

use std::ops::Range;

use backup_core::cpu::CpuPool;
use backup_core::source::ArtifactStream;
use backup_core::{BackupReader, Error, JobContext, Result, ResultExt};
use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use futures::StreamExt;
use zstd::stream::raw::{DParameter, Decoder as Zstd, InBuffer, Operation, OutBuffer};

use super::codes;
use super::metadata::{Codec, Object};
use super::parts::Parts;

/// The largest window of Zstandard frames, as a power of two: Cinder's levels need much less.
const ZSTD_WINDOW: u32 = 25;

/// Bytes that are passed over at a time.
const PASS: u64 = 1 << 20;

/// Reads an object from its start to its end. Never more than what its length says.
pub(super) struct ObjectReader {
    name: String,
    stream: ArtifactStream,
    pool: CpuPool,
    /// What came and is not decoded yet.
    input: Bytes,
    decoder: Decoder,
    /// Where in the object the next byte lies.
    at: u64,
    length: u64,
}

impl ObjectReader {
    pub(super) async fn open(
        cx: &JobContext,
        reader: &dyn BackupReader,
        parts: &Parts,
        object: &Object,
        pool: &CpuPool,
    ) -> Result<Self> {
        let name = parts.name(object.part)?;
        let stream = reader.open(cx, &name).await?;
        let (name, pool, length) = (name.to_string(), pool.clone(), object.length);
        Ok(Self { name, stream, pool, input: Bytes::new(), decoder: Decoder::new(object.codec)?, at: 0, length })
    }

    /// Where in the object the next byte lies.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The next bytes, into `data` at `place`.
    ///
    /// # Errors
    /// `cinder.damaged` when there are fewer; those of the reader.
    pub(super) async fn read(&mut self, data: Vec<u8>, place: Range<usize>) -> Result<Vec<u8>> {
        let name = self.name.clone();
        self.fill(data, place).await.context(|| format!("reading {name}"))
    }

    async fn fill(&mut self, mut data: Vec<u8>, place: Range<usize>) -> Result<Vec<u8>> {
        if self.length - self.at < place.len() as u64 {
            return Err(damaged("it has fewer bytes than were asked for"));
        }
        let Range { start: mut filled, end } = place;
        while filled < end {
            let made;
            (data, made) = self.step(data, filled..end).await?;
            filled += made;
            self.at += made as u64;
            if filled < end && !self.feed().await? {
                return Err(damaged("it holds less than its metadata says"));
            }
        }
        Ok(data)
    }

    /// Passes over bytes up to a place in the object.
    pub(super) async fn pass_to(&mut self, at: u64) -> Result<()> {
        let mut passed = vec![0; usize::try_from((at - self.at.min(at)).min(PASS)).unwrap_or_default()];
        while self.at < at {
            let length = usize::try_from(at - self.at).unwrap_or(usize::MAX).min(passed.len());
            passed = self.read(passed, 0..length).await?;
        }
        Ok(())
    }

    /// After the last byte: nothing more may come.
    ///
    /// # Errors
    /// `cinder.damaged`; what the stream finds at its end.
    pub(super) async fn finish(mut self) -> Result<()> {
        let name = self.name.clone();
        self.finished().await.context(|| format!("reading {name}"))
    }

    async fn finished(&mut self) -> Result<()> {
        loop {
            if !self.decoder.ended() {
                let (_, made) = self.step(vec![0], 0..1).await?;
                if made > 0 {
                    return Err(damaged("it holds more than its metadata says"));
                }
            }
            if self.decoder.ended() && !self.input.is_empty() {
                return Err(damaged("something follows behind its end"));
            }
            if !self.feed().await? {
                return match self.decoder.ended() || matches!(self.decoder, Decoder::None) {
                    true => Ok(()),
                    false => Err(damaged("it ends too early")),
                };
            }
        }
    }

    /// Another piece, when the last one is used up; false at the end.
    async fn feed(&mut self) -> Result<bool> {
        if !self.input.is_empty() {
            return Ok(true);
        }
        match self.stream.next().await.transpose()? {
            Some(piece) => {
                self.input = piece;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Decodes what came into `data` at `place`; how many bytes that made.
    async fn step(&mut self, mut data: Vec<u8>, place: Range<usize>) -> Result<(Vec<u8>, usize)> {
        if self.input.is_empty() {
            return Ok((data, 0));
        }
        if matches!(self.decoder, Decoder::None) {
            let room = data.get_mut(place).unwrap_or_default();
            let piece = self.input.split_to(self.input.len().min(room.len()));
            if let Some(room) = room.get_mut(..piece.len()) {
                room.copy_from_slice(&piece);
            }
            return Ok((data, piece.len()));
        }
        let mut decoder = std::mem::replace(&mut self.decoder, Decoder::None);
        let mut input = std::mem::take(&mut self.input);
        let work = move || {
            let room = data.get_mut(place).unwrap_or_default();
            let made = decoder.run(&mut input, room);
            (decoder, input, data, made)
        };
        let (decoder, input, data, made) = self.pool.run(work).await?;
        (self.decoder, self.input) = (decoder, input);
        Ok((data, made?))
    }
}

enum Decoder {
    None,
    Zlib(Box<Decompress>),
    Bz2(bzip2::Decompress),
    Zstd(Zstd<'static>),
    /// The end of what was compressed was reached.
    Ended,
}

impl Decoder {
    fn new(codec: Codec) -> Result<Self> {
        match codec {
            Codec::None => Ok(Self::None),
            Codec::Zlib => Ok(Self::Zlib(Box::new(Decompress::new(true)))),
            Codec::Bz2 => Ok(Self::Bz2(bzip2::Decompress::new(false))),
            Codec::Zstd => {
                let decoder = Zstd::new().and_then(|mut decoder| {
                    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW))?;
                    Ok(decoder)
                });
                let decoder = decoder.map_err(|error| {
                    Error::new(&backup_core::error::codes::INTERNAL, "zstd cannot be set up").with_source(error)
                });
                decoder.map(Self::Zstd)
            }
        }
    }

    fn ended(&self) -> bool {
        matches!(self, Self::Ended)
    }

    /// Decodes until `room` is full or the input is used up; how many bytes that made.
    fn run(&mut self, input: &mut Bytes, room: &mut [u8]) -> Result<usize> {
        let mut made = 0;
        while made < room.len() && !input.is_empty() && !self.ended() {
            let (used, more) = self.once(input, room.get_mut(made..).unwrap_or_default())?;
            if used == 0 && more == 0 && !self.ended() {
                return Err(damaged("its compressed bytes lead nowhere"));
            }
            bytes::Buf::advance(input, used.min(input.len()));
            made += more;
        }
        if self.ended() && !input.is_empty() {
            return Err(damaged("something follows behind its end"));
        }
        Ok(made)
    }

    fn once(&mut self, input: &[u8], room: &mut [u8]) -> Result<(usize, usize)> {
        let bad = |error: Box<dyn std::error::Error + Send + Sync>| damaged("its compressed bytes are broken").with_source(error);
        let (used, made, ended) = match self {
            Self::Zlib(zlib) => {
                let before = (zlib.total_in(), zlib.total_out());
                let status = zlib.decompress(input, room, FlushDecompress::None).map_err(|error| bad(error.into()))?;
                (zlib.total_in() - before.0, zlib.total_out() - before.1, status == Status::StreamEnd)
            }
            Self::Bz2(bz2) => {
                let before = (bz2.total_in(), bz2.total_out());
                let status = bz2.decompress(input, room).map_err(|error| bad(error.into()))?;
                (bz2.total_in() - before.0, bz2.total_out() - before.1, status == bzip2::Status::StreamEnd)
            }
            Self::Zstd(zstd) => {
                let (mut from, mut to) = (InBuffer::around(input), OutBuffer::around(room));
                let hint = zstd.run(&mut from, &mut to).map_err(|error| bad(error.into()))?;
                (from.pos() as u64, to.pos() as u64, hint == 0)
            }
            Self::None | Self::Ended => return Ok((0, 0)),
        };
        if ended {
            *self = Self::Ended;
        }
        Ok((usize::try_from(used).unwrap_or_default(), usize::try_from(made).unwrap_or_default()))
    }
}

fn damaged(why: &'static str) -> Error {
    Error::new(&codes::DAMAGED, why)
}
