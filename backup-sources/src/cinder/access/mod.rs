//! How the bytes of a volume are reached.
//!
//! ```text
//! rbd/     images of Ceph, through the program `rbd`: snapshots, and what changed between two
//! nfs      files on the shares that Cinder has mounted
//! local    files and devices of this host
//! qcow2/   what the two read of images in qcow2, through the program `qemu-img`
//! file/    raw files and devices, read and written; a new file to restore into
//! ```

mod bounds;
pub mod codes;
mod config;
mod connection;
mod file;
mod image_file;
mod items;
mod local;
mod nfs;
mod program;
mod qcow2;
mod rbd;
mod size;

use std::fmt;

use backup_core::{JobContext, Result};
use bytes::Bytes;
use futures::stream::BoxStream;

pub use config::{AccessConfig, LocalConfig, NfsConfig, RbdConfig};
pub use file::FileVolume;
pub use local::LocalAccess;
pub use nfs::NfsAccess;
pub use rbd::RbdAccess;

/// How the bytes of volumes are reached: beside Cinder's API, which moves none.
///
/// # Behavior
/// Only the bytes are touched here: snapshots, temporary volumes and attachments are made and removed by who calls.
///
/// # Cancel safety
/// As [`Source`](backup_core::Source)'s: cancelled by the context, not by dropping. A program that was started has ended when a
/// call returns.
#[backup_core::async_trait]
pub trait VolumeAccess: Send + Sync + fmt::Debug + 'static {
    /// Its word in configurations: `rbd`, `nfs`, `local`.
    fn kind(&self) -> &'static str;

    /// True when a snapshot is read where it is. Otherwise the caller makes a temporary volume of it and attaches that, and
    /// [`Place::connection`] is what Cinder answered.
    fn reads_snapshots(&self) -> bool;

    /// Reads a volume or a snapshot as a whole, holes left out: what no extent covers is zero.
    ///
    /// # Errors
    /// `cinder.not_there` when it is not where it should be; `cinder.unreadable` for what cannot be read rightly.
    async fn read(&self, cx: &JobContext, place: &Place) -> Result<Extents>;

    /// What changed between the snapshot `since` of the same volume and [`Place::snapshot`]; `None` when this access cannot tell, and the
    /// whole is to be read. Each extent begins and ends at a multiple of `block` (or at the end of the volume).
    ///
    /// # Errors
    /// As [`VolumeAccess::read`].
    async fn changes(&self, cx: &JobContext, place: &Place, since: &str, block: u64) -> Result<Option<Extents>> {
        let _ = (cx, place, since, block);
        Ok(None)
    }

    /// Opens a volume for writing. A `fresh` one reads as zeros so far.
    ///
    /// # Errors
    /// As [`VolumeAccess::read`].
    async fn write(&self, cx: &JobContext, place: &Place, fresh: bool) -> Result<Box<dyn VolumeWriter>>;

    /// Sets a volume back to one of its snapshots, whichever it is.
    ///
    /// # Errors
    /// `source.unsupported` when this access cannot; `cinder.not_there`. With the effect `unknown` the volume is neither the one nor the other.
    async fn rollback(&self, cx: &JobContext, volume: &str, snapshot: &str) -> Result<()>;
}

/// A volume being written.
#[backup_core::async_trait]
pub trait VolumeWriter: Send + fmt::Debug {
    /// Writes bytes at an offset, offsets growing.
    ///
    /// # Cancel safety
    /// Not cancel safe.
    async fn write(&mut self, offset: u64, data: Bytes) -> Result<()>;

    /// Makes a range read as zeros, offsets growing; nothing where it does already.
    async fn zero(&mut self, offset: u64, length: u64) -> Result<()>;

    /// Returns when all is written and durable.
    async fn finish(self: Box<Self>) -> Result<()>;

    /// Ends it; what was written stays, and the volume is not whole.
    async fn abort(self: Box<Self>);
}

/// What is read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The volume's id.
    pub volume: String,
    /// The snapshot of it that is read, where [`VolumeAccess::reads_snapshots`].
    pub snapshot: Option<String>,
    /// The volume's size in bytes.
    pub size: u64,
    /// The attachment's `connection_info`, flat as microversion 3.27 and later have it.
    pub connection: Option<serde_json::Value>,
}

/// A run of bytes of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Bytes, 4 MiB at most.
    Data {
        /// Where they begin.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// Zeros.
    Zero {
        /// Where they begin.
        offset: u64,
        /// How many.
        length: u64,
    },
}

/// Extents in growing order, none overlapping another. An end without an error item means that all of them came.
pub type Extents = BoxStream<'static, Result<Extent>>;
