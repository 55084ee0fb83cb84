use std::sync::LazyLock;

use backup_core::cpu::CpuPool;
use backup_core::error::codes;
use backup_core::{Error, Result};
use serde::{Deserialize, Serialize};

use super::BLOCK;

const MIB: u64 = 1 << 20;

/// The most that an object may hold: a few are held in memory.
const MAX_OBJECT_SIZE: u64 = 256 * MIB;

/// How many buffers of the object size there are: two objects that are being compressed, each with what comes out, and one that is
/// read or stored meanwhile.
pub(super) const BUFFERS: u64 = 5;

/// How backups are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Options {
    /// Bytes of the volume that one object holds; a multiple of 32 KiB, 256 MiB at most.
    pub object_size: u64,
    /// How objects are compressed.
    pub compression: Compression,
    /// How hard: 1 to 9. As Cinder's own when `None`: 6 for zlib, 3 for zstd.
    pub level: Option<u32>,
    /// Where hashing and compressing run; one pool for all volumes of the process when `None`. A host that has a pool for its
    /// repositories gives the same here.
    #[serde(skip)]
    pub cpu: Option<CpuPool>,
}

/// How objects are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// A zlib stream (RFC 1950).
    #[default]
    Zlib,
    /// A Zstandard frame (RFC 8878). The Cinder that is to restore it needs Python's `zstd`.
    Zstd,
    /// Not at all.
    None,
}

impl Default for Options {
    fn default() -> Self {
        Self { object_size: 8 * MIB, compression: Compression::default(), level: None, cpu: None }
    }
}

impl Options {
    /// # Errors
    /// `input.invalid`, naming the value.
    pub fn check(&self) -> Result<()> {
        let invalid = |why: String| Err(Error::new(&codes::INPUT_INVALID, why));
        if self.object_size == 0 || !self.object_size.is_multiple_of(BLOCK) || self.object_size > MAX_OBJECT_SIZE {
            return invalid(format!(
                "`object-size` is {}; it must be a multiple of {BLOCK}, {MAX_OBJECT_SIZE} at most",
                self.object_size
            ));
        }
        match self.level {
            Some(level) if self.compression == Compression::None => {
                invalid(format!("`level` is {level} where nothing is compressed"))
            }
            Some(level) if !(1..=9).contains(&level) => invalid(format!("`level` is {level}; it must be from 1 to 9")),
            _ => Ok(()),
        }
    }

    /// The bytes of memory that a backup holds at most: the buffers, what the compressors need, extents on their way, and 32 bytes an object
    /// for as many as 1 TiB in objects of 8 MiB makes.
    pub fn working_memory(&self) -> u64 {
        let compressor = match (self.compression, self.level()) {
            (Compression::None, _) => 0,
            (Compression::Zlib, _) => MIB / 2,
            (Compression::Zstd, ..=4) => 4 * MIB,
            (Compression::Zstd, _) => 24 * MIB,
        };
        BUFFERS * self.object_size + 2 * compressor + 8 * MIB
    }

    pub(super) fn level(&self) -> u32 {
        self.level.unwrap_or(match self.compression {
            Compression::Zlib => 6,
            Compression::Zstd => 3,
            Compression::None => 0,
        })
    }

    pub(super) fn pool(&self) -> CpuPool {
        self.cpu.clone().unwrap_or_else(pool)
    }
}

/// The pool of everything that was not given one.
pub(super) fn pool() -> CpuPool {
    static POOL: LazyLock<CpuPool> = LazyLock::new(CpuPool::default);
    POOL.clone()
}
