//! Where backups go. Each store has a feature of its own; none is on by default.
//!
//! | feature | store |
//! |---|---|
//! | `fs` | `fs::FsStore`: a directory of a local file system |

#[cfg(feature = "fs")]
pub mod fs;
