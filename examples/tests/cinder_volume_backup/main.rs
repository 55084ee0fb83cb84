//! The program `volume-backup` as it is installed, on the real Keystone, Cinder and Ceph of `tools/openstack.sh up all`, and on a stand-in of Nova.
#![cfg(all(feature = "openstack", target_os = "linux"))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod boot;
mod clients;
mod container;
mod gateway;
mod hostile;
#[path = "../common/http.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared; each uses a part")]
mod http;
mod instance_life;
mod instances;
mod kills;
mod lists;
mod nfs;
mod nova;
#[path = "../../../backup-sources/tests/support/openstack.rs"]
mod openstack;
mod original_codes;
#[path = "../common/process.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared; each uses a part")]
mod process;
mod proxied;
mod quotas;
mod rbd;
mod routes;
mod server;
mod slow;
mod streams;
#[path = "../../../backup-stores/tests/support/openstack.rs"]
mod swift;
mod volumes;
