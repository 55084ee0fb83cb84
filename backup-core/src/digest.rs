//! SHA-256 digests (FIPS 180-4).

use std::fmt;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, codes};
use crate::manifest::BLOCK_SIZE;
use crate::name::is_lower_hex;

/// A SHA-256 digest. As text: 64 lower-case hexadecimal digits, as `sha256sum` prints it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `data`.
    pub fn of(data: &[u8]) -> Self {
        Self::from_output(&digest::digest(&digest::SHA256, data))
    }

    /// Wraps 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 lower-case hexadecimal digits. Upper case is refused, so that each digest has one spelling and a
    /// flipped case bit in a record is found.
    ///
    /// # Errors
    /// `input.invalid` for anything else.
    pub fn from_hex(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        if !is_lower_hex(text) || hex::decode_to_slice(text, &mut bytes).is_err() {
            return Err(Error::new(&codes::INPUT_INVALID, "a SHA-256 digest has 64 lower-case hexadecimal digits"));
        }
        Ok(Self(bytes))
    }

    fn from_output(output: &digest::Digest) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(output.as_ref());
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::from_hex(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// A SHA-256 computation under way. A clone goes on from the same bytes.
#[derive(Clone)]
pub struct Hasher(digest::Context);

impl Hasher {
    /// A computation over no bytes yet.
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// The digest of all bytes added.
    pub fn finish(self) -> Digest {
        Digest::from_output(&self.0.finish())
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(SHA-256)")
    }
}

/// The SHA-256 of each [`BLOCK_SIZE`] bytes of a stream, the last block being shorter.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockHasher {
    done: Vec<Digest>,
    current: Hasher,
    filled: usize,
}

impl BlockHasher {
    pub(crate) fn update(&mut self, mut data: &[u8]) {
        const BLOCK: usize = BLOCK_SIZE as usize;
        while !data.is_empty() {
            let (now, later) = data.split_at(data.len().min(BLOCK - self.filled));
            self.current.update(now);
            self.filled += now.len();
            if self.filled == BLOCK {
                self.done.push(std::mem::take(&mut self.current).finish());
                self.filled = 0;
            }
            data = later;
        }
    }

    pub(crate) fn finish(mut self) -> Vec<Digest> {
        if self.filled > 0 {
            self.done.push(self.current.finish());
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_agree_with_the_standard_and_have_one_spelling() {
        // FIPS 180-4, one-block message sample.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
        let mut hasher = Hasher::new();
        hasher.update(b"a");
        let fork = hasher.clone();
        hasher.update(b"bc");
        assert_eq!(hasher.finish(), Digest::from_hex(abc).unwrap());
        assert_eq!(fork.finish(), Digest::of(b"a"));
        assert!(Digest::from_hex(&abc.to_uppercase()).is_err());
    }
}
