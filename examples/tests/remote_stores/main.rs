//! The two etcd servers with their backups in a remote store, by configuration alone: verified and restored from there by `backupctl`, and by
//! the store's own client with standard tools.
#![cfg(feature = "demo-etcd")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod etcd_backup;
mod etcd_sidecar;
#[cfg(feature = "nfs")]
mod nfs;
mod place;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "swift")]
mod swift;

#[path = "../../../backup-sources/tests/support/etcd.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the sources; each uses a part")]
mod etcd;
#[cfg(feature = "nfs")]
#[path = "../../../backup-stores/tests/support/ganesha.rs"]
mod ganesha;
#[path = "../common/http.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared; each uses a part")]
mod http;
#[cfg(feature = "s3")]
#[path = "../../../backup-stores/tests/support/ministack.rs"]
mod ministack;
#[cfg(feature = "swift")]
#[path = "../../../backup-stores/tests/support/openstack.rs"]
mod openstack;
#[path = "../common/process.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared; each uses a part")]
mod process;

use place::{Directory, Remote};

/// Keys in etcd: together more than one part of a multipart upload.
const KEYS: usize = 24;
/// Bytes of each.
const SIZE: usize = 1 << 20;

/// Both servers, one after the other, on one store.
async fn both_servers(remote: &dyn Remote) {
    etcd_sidecar::round_trip(remote).await;
    etcd_backup::round_trip(remote).await;
}

/// What the others are compared with.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory() {
    both_servers(&Directory::new()).await;
}
