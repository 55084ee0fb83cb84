//! What is backed up: each module is one kind of [`Source`](backup_core::Source), behind a feature of its own.
//!
//! | feature | source | what it captures |
//! |---|---|---|
//! | `script` | `script::ScriptSource` | the standard output of a command |
//! | `script` | `script::StagedSource` | the file that staged scripts leave |
//! | `cinder` | `cinder::CinderSource` | a volume of OpenStack Cinder, in Cinder's own backup format |
//! | `br` | `br::BrSource` | a TiDB cluster, written by BR itself |
//! | `etcd` | `etcd::EtcdSource` | an etcd 3.4 to 3.7 cluster, as `etcdctl snapshot save` writes it |

#[cfg(feature = "br")]
pub mod br;
#[cfg(feature = "cinder")]
pub mod cinder;
#[cfg(any(feature = "br", feature = "etcd", feature = "script"))]
mod duration;
#[cfg(feature = "etcd")]
pub mod etcd;
#[cfg(any(feature = "etcd", feature = "script"))]
mod feed;
#[cfg(any(feature = "cinder", feature = "etcd", feature = "script"))]
mod file;
#[cfg(any(feature = "br", feature = "cinder", feature = "etcd", feature = "script"))]
mod process;
#[cfg(feature = "script")]
pub mod script;
#[cfg(any(feature = "br", feature = "cinder", feature = "etcd", feature = "script"))]
pub use backup_core::Secret;
#[cfg(any(feature = "br", feature = "cinder", feature = "etcd", feature = "script"))]
pub use process::{LogLimits, codes as program_codes};
