//! Reading gzip (RFC 1952): one member or several, and zero bytes behind the last one, as tapes leave them.

use flate2::{Decompress, FlushDecompress, Status};

use super::decoder::damaged;
use crate::error::Result;

const WINDOW_BITS: u8 = 15;
const MAGIC: u8 = 0x1f;

/// Reads members; header, CRC-32 and length of each are checked underneath.
#[derive(Debug)]
pub(super) struct GzipDecoder {
    inflate: Decompress,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing was read yet.
    Start,
    Inside,
    Between,
    /// Behind the last member, within zero bytes.
    Padding,
}

impl GzipDecoder {
    pub(super) fn new() -> Self {
        Self { inflate: Decompress::new_gzip(WINDOW_BITS), place: Place::Start }
    }

    /// `output` has at most `limit` bytes of spare capacity, see [`super::decoder`].
    pub(super) fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize> {
        let mut taken = 0;
        while output.len() < output.capacity() {
            let rest = input.get(taken..).unwrap_or_default();
            match (self.place, rest.first()) {
                (Place::Inside, _) => {}
                (_, None) => break,
                (Place::Start, Some(_)) => self.place = Place::Inside,
                (Place::Between, Some(&MAGIC)) => {
                    // `reset` would expect a zlib header from then on.
                    self.inflate = Decompress::new_gzip(WINDOW_BITS);
                    self.place = Place::Inside;
                }
                (Place::Between | Place::Padding, Some(0)) => {
                    self.place = Place::Padding;
                    taken += rest.iter().take_while(|byte| **byte == 0).count();
                    continue;
                }
                (Place::Between | Place::Padding, Some(_)) => return Err(damaged("something else follows the gzip stream")),
            }
            let read = self.inflate(rest, output)?;
            taken += read.bytes;
            if !read.progress {
                break;
            }
        }
        Ok(taken)
    }

    fn inflate(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Read> {
        let before = (self.inflate.total_in(), output.len());
        let status = self
            .inflate
            .decompress_vec(input, output, FlushDecompress::None)
            .map_err(|error| damaged("the gzip stream is damaged").with_source(error))?;
        if status == Status::StreamEnd {
            self.place = Place::Between;
        }
        let bytes = usize::try_from(self.inflate.total_in() - before.0).unwrap_or(usize::MAX);
        let progress = bytes > 0 || output.len() > before.1 || status == Status::StreamEnd;
        if !progress && !input.is_empty() {
            return Err(damaged("the gzip stream cannot be read on"));
        }
        Ok(Read { bytes, progress })
    }

    pub(super) fn is_at_end(&self) -> bool {
        matches!(self.place, Place::Between | Place::Padding)
    }
}

struct Read {
    bytes: usize,
    progress: bool,
}
