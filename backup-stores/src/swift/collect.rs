//! The bytes of a segment, as they come.

use bytes::{Bytes, BytesMut};

/// Smaller pieces are copied together: each would cost more than its bytes.
const SMALL: usize = 4 << 10;
const TOGETHER: usize = 64 << 10;

/// Pieces that are collected, without copying the bigger ones.
#[derive(Default)]
pub(super) struct Collected {
    pieces: Vec<Bytes>,
    small: BytesMut,
    bytes: u64,
}

impl Collected {
    pub(super) fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len() as u64;
        if piece.len() >= SMALL {
            self.settle();
            return self.pieces.push(piece);
        }
        self.small.extend_from_slice(&piece);
        if self.small.len() >= TOGETHER {
            self.settle();
        }
    }

    fn settle(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(std::mem::take(&mut self.small).freeze());
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was collected, and nothing is left.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.settle();
        self.bytes = 0;
        std::mem::take(&mut self.pieces)
    }
}
