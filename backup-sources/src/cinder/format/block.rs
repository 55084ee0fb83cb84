//! Blocks and their digests. Most blocks of a volume are zeros; what those have for a digest is found once.

use std::sync::LazyLock;

use backup_core::Digest;

use super::BLOCK;

pub(super) const BLOCK_SIZE: usize = BLOCK as usize;

static ZERO_BLOCK: LazyLock<Digest> = LazyLock::new(|| Digest::of(&[0; BLOCK_SIZE]));

/// A block that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) zero: bool,
    pub(super) digest: Digest,
}

impl Block {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match is_zero(bytes) {
            true => Self { zero: true, digest: zero_digest(bytes.len()) },
            false => Self { zero: false, digest: Digest::of(bytes) },
        }
    }
}

/// The digest of so many zeros.
pub(super) fn zero_digest(length: usize) -> Digest {
    match length {
        BLOCK_SIZE => *ZERO_BLOCK,
        other => Digest::of(&vec![0; other]),
    }
}

/// Whether all bytes are zero: compared, which is quick in builds for tests, too.
pub(super) fn is_zero(data: &[u8]) -> bool {
    const ZEROS: &[u8] = &[0; 4096];
    data.chunks(ZEROS.len()).all(|piece| ZEROS.starts_with(piece))
}
