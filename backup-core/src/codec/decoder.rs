use crate::error::{Error, Result, codes};
use crate::manifest::Compression;

use super::gunzip::GzipDecoder;

/// Decompresses a stream piece by piece, with a bound on what comes out of each step.
#[derive(Debug)]
pub(crate) struct Decoder {
    kind: Kind,
    /// Set by the first error: what comes behind one is not looked at.
    failed: bool,
}

#[derive(Debug)]
enum Kind {
    None,
    Gzip(GzipDecoder),
    #[cfg(feature = "zstd")]
    Zstd(super::zstd::ZstdDecoder),
}

impl Decoder {
    /// A decoder at the start of a stream.
    ///
    /// # Errors
    /// `record.unsupported` for zstd in a program that was built without it; `internal.error` without memory.
    pub(crate) fn new(compression: Compression) -> Result<Self> {
        let kind = match compression {
            Compression::None => Kind::None,
            Compression::Gzip => Kind::Gzip(GzipDecoder::new()),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Kind::Zstd(super::zstd::ZstdDecoder::new()?),
            #[cfg(not(feature = "zstd"))]
            Compression::Zstd => {
                return Err(Error::new(
                    &codes::RECORD_UNSUPPORTED,
                    "the backup is compressed with zstd, and this program was built without: build backup-core with its feature \
                     `zstd`, or fetch the object and use `zstd -d`",
                ));
            }
        };
        Ok(Self { kind, failed: false })
    }

    /// Reads from `input` and appends at most `limit` bytes to `output`; returns how many bytes of `input` were read.
    ///
    /// While a step appended `limit` bytes there may be more, even when all input is read: call again with the rest, be it
    /// empty. A step that appended less has read all its input. An `output` that is empty and has a capacity of `limit`
    /// is filled without a detour.
    ///
    /// # Errors
    /// `artifact.corrupt` when the stream is damaged or something else follows it; `input.invalid` for a limit of 0. The
    /// bytes that were appended before an error was met are not to be used.
    pub(crate) fn step(&mut self, input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<usize> {
        if limit == 0 {
            return Err(Error::new(&codes::INPUT_INVALID, "a decoder cannot work with an output limit of 0 bytes"));
        }
        if self.failed {
            return Err(damaged("the stream was found damaged before"));
        }
        let taken = self.step_into(input, output, limit);
        self.failed = taken.is_err();
        taken
    }

    fn step_into(&mut self, input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<usize> {
        if matches!(self.kind, Kind::None) {
            let part = input.get(..limit).unwrap_or(input);
            output.extend_from_slice(part);
            return Ok(part.len());
        }
        output.reserve_exact(limit);
        if output.capacity() - output.len() == limit {
            return self.fill(input, output);
        }
        // The decompressors fill all spare capacity, and this vector has more than they may use.
        let mut part = Vec::new();
        part.reserve_exact(limit);
        let taken = self.fill(input, &mut part)?;
        output.extend_from_slice(&part);
        Ok(taken)
    }

    fn fill(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize> {
        match &mut self.kind {
            Kind::None => Ok(0),
            Kind::Gzip(decoder) => decoder.step(input, output),
            #[cfg(feature = "zstd")]
            Kind::Zstd(decoder) => decoder.step(input, output),
        }
    }

    /// To be asked when there is no more input.
    ///
    /// # Errors
    /// `artifact.corrupt` when the stream ended in the middle.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let complete = match &self.kind {
            Kind::None => true,
            Kind::Gzip(decoder) => decoder.is_at_end(),
            #[cfg(feature = "zstd")]
            Kind::Zstd(decoder) => decoder.is_at_end(),
        };
        if complete && !self.failed { Ok(()) } else { Err(damaged("the compressed stream ends in the middle")) }
    }
}

pub(super) fn damaged(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(&codes::ARTIFACT_CORRUPT, message)
}
