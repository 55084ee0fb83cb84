//! Backups of volumes while services of the real OpenStack are ended and started. No other test program may use them meanwhile: those that
//! end services are called `alone…`, and `tools/test.sh` runs them by themselves.
#![cfg(all(feature = "cinder", feature = "s3", feature = "swift"))]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which share what they stand on with those of `cinder`"
)]

mod restarts;

#[path = "../../../backup-sources/tests/support/openstack.rs"]
mod openstack;
#[path = "../cinder/place.rs"]
mod place;
#[path = "../cinder/stages.rs"]
mod stages;
#[path = "../../../backup-stores/tests/support/openstack.rs"]
mod swift;
