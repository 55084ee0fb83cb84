//! The program `etcd-backup` as it is installed, before real etcd servers.
#![cfg(feature = "demo-etcd")]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod disk;
#[path = "../../../backup-sources/tests/support/etcd.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of the sources; each uses a part")]
mod etcd;
#[path = "../common/http.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared; each uses a part")]
mod http;
mod lifecycle;
mod originals;
#[path = "../common/process.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared; each uses a part")]
mod process;
mod program;
mod round_trip;
mod sigkill;

use std::collections::BTreeSet;
use std::io::Read;

use etcd::{Server, Setup, V3_6, fill, server};

/// A running etcd with about `mib` MiB in it; `None`, said aloud, without its program.
async fn etcd_with(mib: usize) -> Option<Server> {
    let etcd = Server::start(&server(V3_6)?, &Setup { fast: true, ..Setup::default() }).await;
    fill(&mut etcd.client().await, mib, 1 << 20).await;
    Some(etcd)
}

/// What a gzip file holds; an error for half a one.
fn gunzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut content)?;
    Ok(content)
}

/// The file names in the body of a list.
fn names(body: &[u8]) -> Vec<String> {
    serde_json::from_slice(body).unwrap()
}

/// Every listed backup is whole: its archive unpacks and has its one member.
fn assert_all_whole(program: &program::Program) -> BTreeSet<String> {
    let listed = program.names();
    for name in &listed {
        let answer = program.get(&format!("/api/v1/backup/{name}"));
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let tar = gunzip(&answer.body).unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        let members: Vec<_> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(members, [name.replace(".tar.gz", ".db")]);
    }
    assert!(listed.is_sorted());
    listed.into_iter().collect()
}
