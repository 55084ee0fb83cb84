//! Volumes of a real Cinder, on a real Ceph and the stock NFS driver, to a real Swift and other stores: backed up here and restored by
//! Cinder, backed up by Cinder and restored here, bit by bit.
#![cfg(all(feature = "cinder", feature = "s3", feature = "swift"))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod chain;
mod changed;
mod place;
mod refused;
mod stages;
mod stopped;
mod stores;
mod theirs;

#[path = "../../../backup-stores/tests/support/ministack.rs"]
mod ministack;
#[path = "../../../backup-sources/tests/support/openstack.rs"]
mod openstack;
#[path = "../../../backup-stores/tests/support/openstack.rs"]
mod swift;
