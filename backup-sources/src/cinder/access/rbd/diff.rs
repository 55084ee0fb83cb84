//! The stream of `rbd export-diff`, read: "rbd diff v1" of Ceph's `doc/dev/rbd-diff.rst`.
//!
//! ```text
//! "rbd diff v1\n"
//! 'f' u32 name   the snapshot it begins at      |
//! 't' u32 name   the snapshot it ends at        | before all data
//! 's' u64        the size of the image          |
//! 'w' u64 u64 …  data: offset, length, bytes
//! 'z' u64 u64    zeros: offset, length
//! 'e'            the end; a stream without it was cut
//! ```
//! Numbers are little-endian. Nothing is reserved for what a record announces: data is handed out in pieces.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncRead;

use crate::cinder::access::Extent;
use crate::cinder::access::program::fill;

const BANNER: &[u8; 12] = b"rbd diff v1\n";
/// Bytes of a snapshot's name.
const NAME: u32 = 4096;
/// Bytes of data handed out at once.
pub(super) const PIECE: u64 = 1 << 20;

/// What is wrong with a stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Bad {
    #[error("it could not be read")]
    Io(#[from] io::Error),
    #[error("it was cut: the record of its end did not come")]
    Cut,
    #[error("it is none of the format \"rbd diff v1\"")]
    Foreign,
    #[error("it has a record {0:?}, which the format does not know")]
    Tag(char),
    #[error("it has a record {0:?} where none belongs")]
    Misplaced(char),
    #[error("it is about other snapshots than those that were asked for")]
    Snapshots,
    #[error("it is about an image of {found} bytes, instead of {expected}")]
    Size { found: u64, expected: u64 },
    #[error("its record at {offset} with {length} bytes is empty or reaches beyond the image")]
    Range { offset: u64, length: u64 },
    #[error("its record at {offset} comes after one that ends at {end}")]
    Order { offset: u64, end: u64 },
    #[error("its record at {offset} with {length} bytes does not begin and end at multiples of {block}")]
    Unaligned { offset: u64, length: u64, block: u64 },
    #[error("it goes on after the record of its end")]
    TooLong,
}

/// What a stream has to be about.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    /// The snapshot it begins at.
    pub(super) from: Option<String>,
    /// The snapshot it ends at.
    pub(super) to: Option<String>,
    /// The size of the image in bytes.
    pub(super) size: u64,
    /// Each record begins and ends at a multiple of this, or at the end of the image.
    pub(super) block: Option<u64>,
}

/// A stream being read.
#[derive(Debug)]
pub(super) struct Diff<R> {
    source: R,
    buffer: BytesMut,
    expected: Expected,
    piece: u64,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Banner,
    Head(Head),
    /// Between records; the last one ended at `end`.
    Records {
        end: u64,
    },
    /// Within data.
    Data {
        offset: u64,
        left: u64,
    },
    Ended,
}

/// What the head said so far.
#[derive(Debug, Clone, Copy, Default)]
struct Head {
    from: bool,
    to: bool,
    size: bool,
}

impl<R: AsyncRead + Unpin> Diff<R> {
    pub(super) fn new(source: R, expected: Expected) -> Self {
        // Pieces of what is aligned are aligned.
        let block = expected.block.unwrap_or(1).max(1);
        let piece = (PIECE / block).max(1).saturating_mul(block);
        Self { source, buffer: BytesMut::new(), expected, piece, state: State::Banner }
    }

    /// The next piece; `None` when all have come. After an error there is no next one.
    pub(super) async fn next(&mut self) -> Result<Option<Extent>, Bad> {
        loop {
            match self.state {
                State::Banner => {
                    self.banner().await?;
                    self.state = State::Head(Head::default());
                }
                State::Head(head) => self.head(head).await?,
                State::Records { end } => match self.tag().await? {
                    b'w' => {
                        let (offset, left) = self.range(end).await?;
                        self.state = State::Data { offset, left };
                    }
                    b'z' => {
                        let (offset, length) = self.range(end).await?;
                        self.state = State::Records { end: offset + length };
                        return Ok(Some(Extent::Zero { offset, length }));
                    }
                    b'e' => self.end().await?,
                    tag @ (b'f' | b't' | b's') => return Err(Bad::Misplaced(tag.into())),
                    tag => return Err(Bad::Tag(tag.into())),
                },
                State::Data { offset, left } => return self.data(offset, left).await.map(Some),
                State::Ended => return Ok(None),
            }
        }
    }

    async fn banner(&mut self) -> Result<(), Bad> {
        // What is printed instead may be shorter.
        let whole = fill(&mut self.source, &mut self.buffer, BANNER.len()).await?;
        let known = self.buffer.len().min(BANNER.len());
        match self.buffer.get(..known) == BANNER.get(..known) {
            true if whole => self.buffer.advance(BANNER.len()),
            true => return Err(Bad::Cut),
            false => return Err(Bad::Foreign),
        }
        Ok(())
    }

    async fn head(&mut self, head: Head) -> Result<(), Bad> {
        // The tag stays where it is while it may be one of data.
        self.need(1).await?;
        match self.buffer.first().copied().unwrap_or_default() {
            b'f' if !head.from => {
                self.name(|expected| expected.from.as_deref()).await?;
                self.state = State::Head(Head { from: true, ..head });
            }
            b't' if !head.to => {
                self.name(|expected| expected.to.as_deref()).await?;
                self.state = State::Head(Head { to: true, ..head });
            }
            b's' if !head.size => {
                self.need(9).await?;
                self.buffer.advance(1);
                let (found, expected) = (self.buffer.get_u64_le(), self.expected.size);
                if found != expected {
                    return Err(Bad::Size { found, expected });
                }
                self.state = State::Head(Head { size: true, ..head });
            }
            tag @ (b'f' | b't' | b's') => return Err(Bad::Misplaced(tag.into())),
            b'w' | b'z' | b'e' => {
                let told = (head.from, head.to);
                if told != (self.expected.from.is_some(), self.expected.to.is_some()) {
                    return Err(Bad::Snapshots);
                }
                if !head.size {
                    return Err(Bad::Size { found: 0, expected: self.expected.size });
                }
                self.state = State::Records { end: 0 };
            }
            tag => return Err(Bad::Tag(tag.into())),
        }
        Ok(())
    }

    /// Reads the name of a snapshot, with its tag before it, and compares.
    async fn name(&mut self, expected: impl Fn(&Expected) -> Option<&str>) -> Result<(), Bad> {
        self.need(5).await?;
        self.buffer.advance(1);
        let length = self.buffer.get_u32_le();
        if length > NAME {
            return Err(Bad::Snapshots);
        }
        let length = length as usize;
        self.need(length).await?;
        let name = self.buffer.split_to(length);
        match expected(&self.expected) {
            Some(expected) if expected.as_bytes() == name => Ok(()),
            _ => Err(Bad::Snapshots),
        }
    }

    async fn range(&mut self, end: u64) -> Result<(u64, u64), Bad> {
        self.need(16).await?;
        let (offset, length) = (self.buffer.get_u64_le(), self.buffer.get_u64_le());
        let size = self.expected.size;
        let Some(next) = offset.checked_add(length).filter(|next| length > 0 && *next <= size) else {
            return Err(Bad::Range { offset, length });
        };
        if offset < end {
            return Err(Bad::Order { offset, end });
        }
        if let Some(block) = self.expected.block
            && !aligned(offset, next, block, size)
        {
            return Err(Bad::Unaligned { offset, length, block });
        }
        Ok((offset, length))
    }

    async fn data(&mut self, offset: u64, left: u64) -> Result<Extent, Bad> {
        let length = left.min(self.piece);
        let bytes = usize::try_from(length).map_err(|_| Bad::Range { offset, length })?;
        self.need(bytes).await?;
        let bytes = self.buffer.split_to(bytes).freeze();
        let (next, left) = (offset + length, left - length);
        self.state = if left == 0 { State::Records { end: next } } else { State::Data { offset: next, left } };
        Ok(Extent::Data { offset, bytes })
    }

    async fn end(&mut self) -> Result<(), Bad> {
        if fill(&mut self.source, &mut self.buffer, 1).await? {
            return Err(Bad::TooLong);
        }
        self.state = State::Ended;
        Ok(())
    }

    async fn tag(&mut self) -> Result<u8, Bad> {
        self.need(1).await?;
        Ok(self.buffer.get_u8())
    }

    async fn need(&mut self, bytes: usize) -> Result<(), Bad> {
        if fill(&mut self.source, &mut self.buffer, bytes).await? { Ok(()) } else { Err(Bad::Cut) }
    }
}

/// Whether a range begins and ends at multiples of `block`, or at the end of the image.
pub(super) fn aligned(offset: u64, end: u64, block: u64, size: u64) -> bool {
    offset.is_multiple_of(block) && (end.is_multiple_of(block) || end == size)
}
