//! The wire format of protocol buffers, read as a stream: a message of any size needs the memory of its biggest entry.
//!
//! Source: "Encoding" in the documentation of protocol buffers. Groups do not occur in proto3 and are refused.

use backup_core::{Bytes, Result};
use bytes::{Buf, BufMut, BytesMut};
use prost::Message;

use super::input::{Ended, Input};

/// The biggest entry that is held in memory at once. Those of BR have a few hundred bytes.
pub(super) const MAX_ENTRY: u64 = 64 << 20;

/// What is set aside for an entry before its bytes are there.
const FIRST: u64 = 64 << 10;

/// A field whose key was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Read.
    Varint(u64),
    /// So many bytes follow: an unknown number of fixed size.
    Fixed(u64),
    /// So many bytes follow: a text, bytes or a message.
    Length(u64),
}

/// Where a message ends: a place, or the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End(Option<u64>);

impl End {
    pub(super) const OF_FILE: Self = Self(None);
}

pub(super) struct Wire<'a> {
    input: Input<'a>,
    piece: Bytes,
    at: u64,
}

impl<'a> Wire<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self { input, piece: Bytes::new(), at: 0 }
    }

    /// The next field of the message that goes to `end`; `None` there. The caller reads or skips what follows a key.
    pub(super) async fn field(&mut self, end: End) -> Result<Option<Field>> {
        if end.0.is_some_and(|end| self.at >= end) || (end == End::OF_FILE && !self.fill().await?) {
            return Ok(None);
        }
        let key = self.varint(end).await?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let Some(number) = number else { return Err(self.damaged(format_args!("{key} is no key of a field"))) };
        let value = match key & 7 {
            0 => Value::Varint(self.varint(end).await?),
            1 => Value::Fixed(8),
            2 => Value::Length(self.varint(end).await?),
            5 => Value::Fixed(4),
            other => return Err(self.damaged(format_args!("field {number} has the unknown wire type {other}"))),
        };
        if let (Value::Fixed(len) | Value::Length(len), Some(end)) = (value, end.0)
            && end.saturating_sub(self.at) < len
        {
            let left = end.saturating_sub(self.at);
            return Err(self.damaged(format_args!("field {number} has {len} bytes, and its message ends after {left}")));
        }
        Ok(Some(Field { number, value }))
    }

    /// The message that begins here and has `len` bytes ends there.
    pub(super) fn end_of(&self, len: u64) -> Result<End> {
        match self.at.checked_add(len) {
            Some(end) => Ok(End(Some(end))),
            None => Err(self.damaged(format_args!("an entry of {len} bytes"))),
        }
    }

    /// Leaves out what follows a key.
    pub(super) async fn skip(&mut self, field: Field) -> Result<()> {
        let (Value::Fixed(mut left) | Value::Length(mut left)) = field.value else { return Ok(()) };
        while left > 0 {
            if !self.fill().await? {
                return Err(self.cut_off(field.number, left));
            }
            let here = left.min(self.piece.len() as u64);
            self.advance(here);
            left -= here;
        }
        Ok(())
    }

    /// The bytes of a field.
    pub(super) async fn bytes(&mut self, number: u32, len: u64) -> Result<Bytes> {
        if len > MAX_ENTRY {
            return Err(
                self.damaged(format_args!("an entry of field {number} has {len} bytes; more than {MAX_ENTRY} are refused"))
            );
        }
        if len <= self.piece.len() as u64 {
            self.at += len;
            return Ok(self.piece.split_to(usize::try_from(len).unwrap_or_default()));
        }
        // Grows with what comes, not with what is announced.
        let mut whole = BytesMut::with_capacity(usize::try_from(len.min(FIRST)).unwrap_or_default());
        while (whole.len() as u64) < len {
            if !self.fill().await? {
                return Err(self.cut_off(number, len - whole.len() as u64));
            }
            let here = (len - whole.len() as u64).min(self.piece.len() as u64);
            whole.put((&mut self.piece).take(usize::try_from(here).unwrap_or_default()));
            self.at += here;
        }
        Ok(whole.freeze())
    }

    /// An entry as a whole.
    pub(super) async fn message<M: Message + Default>(&mut self, number: u32, len: u64) -> Result<M> {
        let at = self.at;
        let bytes = self.bytes(number, len).await?;
        M::decode(bytes).map_err(|error| self.input.damaged(at, format_args!("the entry of field {number}: {error}")))
    }

    /// A text.
    pub(super) async fn text(&mut self, number: u32, len: u64) -> Result<String> {
        let at = self.at;
        let bytes = self.bytes(number, len).await?;
        String::from_utf8(bytes.into()).map_err(|_| self.input.damaged(at, format_args!("field {number} is no text")))
    }

    /// What the file was; for after its end.
    pub(super) fn ended(&self) -> Ended {
        self.input.ended()
    }

    pub(super) fn damaged(&self, what: impl std::fmt::Display) -> backup_core::Error {
        self.input.damaged(self.at, what)
    }

    /// Reads on to the end, whatever comes.
    pub(super) async fn drain(&mut self) -> Result<()> {
        while self.fill().await? {
            self.advance(self.piece.len() as u64);
        }
        Ok(())
    }

    async fn varint(&mut self, end: End) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            if end.0.is_some_and(|end| self.at >= end) {
                return Err(self.damaged("a number goes beyond the end of its message"));
            }
            if !self.fill().await? {
                return Err(self.damaged("the file ends within a number; it is cut off"));
            }
            let byte = u64::from(self.piece.get_u8());
            self.at += 1;
            // Of the tenth byte only the lowest bit has a place.
            if shift == 63 && byte > 1 {
                break;
            }
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged("a number of more than 64 bits"))
    }

    /// Makes sure that there is a byte; `false` at the end of the file.
    async fn fill(&mut self) -> Result<bool> {
        if self.piece.is_empty() {
            self.piece = self.input.next().await?.unwrap_or_default();
        }
        Ok(!self.piece.is_empty())
    }

    fn advance(&mut self, by: u64) {
        self.piece.advance(usize::try_from(by).unwrap_or_default().min(self.piece.len()));
        self.at += by;
    }

    fn cut_off(&self, number: u32, missing: u64) -> backup_core::Error {
        self.damaged(format_args!("the file ends within field {number}, {missing} bytes are missing; it is cut off"))
    }
}
