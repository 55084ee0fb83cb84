//! Where backups go, and where a service keeps its state. Each has a feature of its own; none is on by default.
//!
//! | feature | what it is |
//! |---|---|
//! | `fs` | `fs::FsStore`: a store in a directory of a local file system |
//! | `redb` | `redb::RedbState`: the state of one process in one file |
//!
//! [`StoreConfig`] is how every program says which store it means.

#[cfg_attr(not(feature = "fs"), allow(unreachable_code, unused_variables, reason = "without a store none can be configured"))]
mod config;
#[cfg(feature = "fs")]
pub mod fs;
#[cfg(feature = "redb")]
pub mod redb;

pub use config::StoreConfig;
