//! One file of metadata as it is read: piece by piece, hashed and decrypted on the way.

use backup_core::source::ArtifactStream;
use backup_core::{Bytes, Digest, Error, Hasher, JobContext, Result};
use bytes::BytesMut;
use futures::stream::{Fuse, StreamExt, TryStreamExt};

use super::cipher::{IV, Key, Keystream};
use crate::br::codes;

/// How the bytes of a file become plain.
pub(super) enum Decryption {
    /// They are.
    None,
    /// The file begins with the initialisation vector.
    Leading(Key),
    /// The index has it.
    Given(Keystream),
}

pub(super) struct Input<'a> {
    cx: &'a JobContext,
    name: &'a str,
    stream: Fuse<ArtifactStream>,
    decryption: Decryption,
    how: &'static str,
    stored: Hasher,
    stored_size: u64,
    /// Only where it is another one than `stored`.
    plain: Option<Hasher>,
}

/// What a file was, known at its end.
pub(super) struct Ended {
    pub(super) size: u64,
    pub(super) stored: Digest,
    pub(super) plain: Digest,
}

impl<'a> Input<'a> {
    pub(super) fn new(cx: &'a JobContext, name: &'a str, stream: ArtifactStream, decryption: Decryption) -> Self {
        let (how, plain) = match &decryption {
            Decryption::None => ("read without a key", None),
            _ => ("after decryption", Some(Hasher::new())),
        };
        Self { cx, name, stream: stream.fuse(), decryption, how, stored: Hasher::new(), stored_size: 0, plain }
    }

    /// The next plain bytes, never none; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(piece) = self.cx.run(self.stream.try_next()).await? else { return self.end() };
            // A stream that is always ready must not hold the thread for the whole of a big file.
            tokio::task::yield_now().await;
            self.stored.update(&piece);
            self.stored_size += piece.len() as u64;
            let piece = self.decrypt(piece).await?;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    async fn decrypt(&mut self, mut piece: Bytes) -> Result<Bytes> {
        if let Decryption::Leading(key) = &self.decryption {
            let key = key.clone();
            while piece.len() < IV {
                let Some(more) = self.cx.run(self.stream.try_next()).await? else {
                    return Err(self.damaged(0, "it ends before its initialisation vector does; it is not encrypted, or cut off"));
                };
                self.stored.update(&more);
                self.stored_size += more.len() as u64;
                piece = [piece, more].concat().into();
            }
            let iv = piece.split_to(IV);
            let Some(keystream) = key.start(&iv) else { return Err(self.damaged(0, "the key does not suit the cipher")) };
            self.decryption = Decryption::Given(keystream);
        }
        let Decryption::Given(keystream) = &mut self.decryption else { return Ok(piece) };
        let mut piece = piece.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        if !keystream.apply(&mut piece) {
            return Err(self.damaged(0, "the counter of its cipher is used up"));
        }
        if let Some(plain) = &mut self.plain {
            plain.update(&piece);
        }
        Ok(piece.freeze())
    }

    fn end(&self) -> Result<Option<Bytes>> {
        match self.decryption {
            Decryption::Leading(_) => Err(self.damaged(0, "it is empty")),
            _ => Ok(None),
        }
    }

    /// Sizes and digests; for after the end.
    pub(super) fn ended(&self) -> Ended {
        let stored = self.stored.clone().finish();
        let plain = self.plain.clone().map_or(stored, Hasher::finish);
        Ended { size: self.stored_size, stored, plain }
    }

    /// The error for what is wrong at byte `at` of the plain bytes.
    pub(super) fn damaged(&self, at: u64, what: impl std::fmt::Display) -> Error {
        Error::new(&codes::META_DAMAGED, format!("`{}`, {}, at byte {at}: {what}", self.name, self.how))
    }
}
