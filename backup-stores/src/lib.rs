//! Where backups go, and where a service keeps its state. Each has a feature of its own; none is on by default.
//!
//! | feature | what it is |
//! |---|---|
//! | `fs` | `fs::FsStore`: a store in a directory of a local file system |
//! | `s3` | `s3::S3Store`: a store in a bucket of a server that speaks S3 |
//! | `swift` | `swift::SwiftStore`: a store in a container of OpenStack Swift |
//! | `nfs` | `nfs::NfsStore`: a store in a directory of an NFSv3 server, without a mount and without root |
//! | `redb` | `redb::RedbState`: the state of one process in one file |
//!
//! [`StoreConfig`] is how every program says which store it means.

#[cfg_attr(
    not(any(feature = "fs", feature = "nfs", feature = "s3", feature = "swift")),
    allow(unreachable_code, unused_variables, reason = "without a store none can be configured")
)]
mod config;
#[cfg(any(feature = "fs", feature = "nfs"))]
mod files;
#[cfg(feature = "fs")]
pub mod fs;
#[cfg(any(feature = "fs", feature = "nfs", feature = "s3", feature = "swift"))]
mod latch;
#[cfg(feature = "nfs")]
pub mod nfs;
#[cfg(feature = "redb")]
pub mod redb;
#[cfg(feature = "s3")]
pub mod s3;
#[cfg(feature = "swift")]
pub mod swift;

pub use config::{OpenOptions, StoreConfig};
