//! Cinder's chunked backups, written and read.
//!
//! ```text
//! backup-00001 …       runs of the volume's bytes, compressed one by one
//! backup_sha256file    JSON: the SHA-256 of each 32 KiB block of the volume
//! backup_metadata      JSON: offset, length, compression and MD5 of each object, and what the backup is
//! ```
//! The format is that of `cinder.backup.chunkeddriver`, version 1.0.0. A full backup has an object for each [`Options::object_size`] bytes;
//! an incremental one has one for each run of blocks within so many bytes that changed, and the digests of the whole volume.
//!
//! Memory does not grow with the volume, but for some 30 bytes an object.

mod base;
mod block;
mod buffers;
mod chain;
pub mod codes;
mod decode;
mod inspect;
mod json;
mod metadata;
mod names;
mod options;
mod pack;
mod parts;
mod plan;
mod record;
mod restore;
mod shafile;
#[cfg(test)]
mod tests;
mod window;
mod write;
mod written;

pub use inspect::inspect;
pub use options::{Compression, Options};
pub use record::Record;
pub use restore::restore;
use window::Window;
pub use write::{Content, write};
pub use written::{NewBackup, Written};

/// Bytes of a block that has a digest, in backups that are written here; Cinder's own default.
pub const BLOCK: u64 = 32 << 10;

/// The version of the format.
const VERSION: &str = "1.0.0";

/// About how many bytes the digests of a volume of `size` bytes take: the biggest artifact of a backup.
pub(super) fn digests_size(size: u64) -> u64 {
    shafile::ShaWriter::size_hint(size)
}

/// A time as Cinder's files have it: as Python prints one.
fn time_text(time: chrono::DateTime<chrono::Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S+00:00").to_string()
}
