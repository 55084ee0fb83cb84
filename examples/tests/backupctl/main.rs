//! The program as it is installed, over repositories that the library made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod adopted;
mod bench;
mod beside;
mod documented;
#[cfg(feature = "demo-etcd")]
mod etcd;
mod looking;
mod removing;
mod restoring;
#[cfg(feature = "demo-etcd")]
#[path = "../../../backup-sources/tests/support/etcd.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the tests of the sources; each uses a part")]
mod support;
mod terminal;
mod usage;
mod verifying;
#[cfg(feature = "cinder")]
mod volumes;
