//! Finds the tokens of a JSON text that comes in pieces.

use backup_core::{Error, Result};
use bytes::{Bytes, BytesMut};

use crate::cinder::format::codes;

/// The longest text or number that is accepted: the volume's metadata is one text.
pub(super) const MAX_TOKEN: usize = 4 << 20;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cinder::format) enum Kind {
    /// One of `{}[]:,`.
    Mark(u8),
    /// A text, its quotes included, its escapes as they came.
    Text,
    /// A number, `true`, `false` or `null`.
    Word,
}

/// A token and where it lies in the lexer, until the next one is asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::cinder::format) struct Token {
    pub(in crate::cinder::format) kind: Kind,
    start: usize,
    end: usize,
}

#[derive(Debug, Default)]
pub(super) struct Lexer {
    buffer: Bytes,
    at: usize,
    ended: bool,
}

impl Lexer {
    /// The next piece. Not before all tokens of what came were taken.
    pub(super) fn feed(&mut self, piece: Bytes) -> Result<()> {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        if rest.len() > MAX_TOKEN {
            return Err(damaged("a text in it has no end"));
        }
        self.buffer = match rest.is_empty() {
            true => piece,
            false => {
                let mut joined = BytesMut::with_capacity(rest.len() + piece.len());
                joined.extend_from_slice(rest);
                joined.extend_from_slice(&piece);
                joined.freeze()
            }
        };
        self.at = 0;
        Ok(())
    }

    /// No piece comes any more.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The next token; `None` when another piece is needed, or nothing is left and the end was told.
    pub(super) fn next(&mut self) -> Result<Option<Token>> {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.at += blank;
        let rest = rest.get(blank..).unwrap_or_default();
        let Some(first) = rest.first() else { return Ok(None) };
        let (kind, length) = match first {
            b'{' | b'}' | b'[' | b']' | b':' | b',' => (Kind::Mark(*first), Some(1)),
            b'"' => (Kind::Text, text_length(rest)),
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => (Kind::Word, self.word_length(rest)),
            _ => return Err(damaged("it is no JSON")),
        };
        let Some(length) = length else {
            return match self.ended {
                true => Err(damaged("it ends too early")),
                false => Ok(None),
            };
        };
        let token = Token { kind, start: self.at, end: self.at + length };
        self.at += length;
        Ok(Some(token))
    }

    /// The bytes of the token that came last.
    pub(super) fn bytes(&self, token: Token) -> &[u8] {
        self.buffer.get(token.start..token.end).unwrap_or_default()
    }

    fn word_length(&self, rest: &[u8]) -> Option<usize> {
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')).count();
        (length < rest.len() || self.ended).then_some(length)
    }
}

/// The length of the text that `rest` begins with, quotes included.
fn text_length(rest: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', rest.get(at..)?)?;
        match rest.get(found)? {
            b'"' => return Some(found + 1),
            _ => at = found + 2,
        }
    }
}

pub(super) fn damaged(why: &'static str) -> Error {
    Error::new(&codes::DAMAGED, why)
}
