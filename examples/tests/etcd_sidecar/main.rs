//! The program `etcd-sidecar` with real etcd servers: from a request to a restored cluster, and through what goes wrong.
#![cfg(feature = "demo-etcd")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod adoption;
mod backups;
mod configuration;
mod crash;
#[path = "../../../backup-sources/tests/support/etcd.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the sources; each uses a part")]
mod etcd;
mod faults;
mod histories;
#[path = "../common/http.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared; each uses a part")]
mod http;
#[path = "../common/process.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared; each uses a part")]
mod process;
mod sidecar;

use etcd::{Server, Setup, V3_6};

/// A running etcd; `None`, said aloud, where its program is missing.
async fn running() -> Option<Server> {
    let program = etcd::server(V3_6)?;
    etcd::tool("etcdutl")?;
    Some(Server::start(&program, &Setup { fast: true, ..Setup::default() }).await)
}

/// The name that a backup of this revision has.
fn name(revision: u64) -> String {
    format!("{V3_6}_{revision:016x}_etcd.backup")
}
