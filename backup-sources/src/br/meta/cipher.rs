//! The cipher of metadata: AES in counter mode (NIST SP 800-38A), the counter 128 bits big-endian.

use std::fmt;

use aes::{Aes128, Aes192, Aes256};
use backup_core::Result;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};

use super::super::config::{Encryption, EncryptionMethod};

/// Bytes of an initialisation vector.
pub(super) const IV: usize = 16;

/// Method and key.
#[derive(Clone)]
pub(super) struct Key {
    method: EncryptionMethod,
    bytes: Vec<u8>,
}

impl Key {
    /// # Errors
    /// `br.config` for a key that the method cannot have.
    pub(super) fn of(encryption: &Encryption) -> Result<Self> {
        Ok(Self { method: encryption.method, bytes: encryption.key_bytes()? })
    }

    /// The keystream from `iv` on; `None` when `iv` has another length than [`IV`].
    pub(super) fn start(&self, iv: &[u8]) -> Option<Keystream> {
        let stream: Option<Box<dyn StreamCipher + Send + Sync>> = match self.method {
            EncryptionMethod::Aes128Ctr => boxed(Ctr128BE::<Aes128>::new_from_slices(&self.bytes, iv)),
            EncryptionMethod::Aes192Ctr => boxed(Ctr128BE::<Aes192>::new_from_slices(&self.bytes, iv)),
            EncryptionMethod::Aes256Ctr => boxed(Ctr128BE::<Aes256>::new_from_slices(&self.bytes, iv)),
        };
        stream.map(Keystream)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("method", &self.method).finish_non_exhaustive()
    }
}

fn boxed<C: StreamCipher + Send + Sync + 'static, E>(made: Result<C, E>) -> Option<Box<dyn StreamCipher + Send + Sync>> {
    match made {
        Ok(stream) => Some(Box::new(stream)),
        Err(_) => None,
    }
}

/// A keystream under way.
pub(super) struct Keystream(Box<dyn StreamCipher + Send + Sync>);

impl Keystream {
    /// Decrypts in place; `false` when the counter is used up, after 2^132 bytes.
    pub(super) fn apply(&mut self, data: &mut [u8]) -> bool {
        self.0.try_apply_keystream(data).is_ok()
    }
}
