//! A snapshot of a real etcd, checked and restored by the program into a member that starts.

use std::process::Command;

use backup_core::{BackupRequest, Compression};
use backup_sources::etcd::{EtcdSource, Packaging};

use crate::bench::{Bench, Ended, set};
use crate::support::{Server, Setup, V3_6, assert_filled, fill, server, tool};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_starts_from_what_was_restored() {
    let (Some(program), Some(etcdutl)) = (server(V3_6), tool("etcdutl")) else { return };
    let bench = Bench::new();
    let etcd = Server::start(&program, &Setup { fast: true, ..Setup::default() }).await;
    fill(&mut etcd.client().await, 50, 100).await;
    let mut config = etcd.config(None);
    config.packaging = Packaging::Tar;
    let cx = bench.repository.context();
    let request = BackupRequest::new(set("etcd/prod")).compression(Compression::Gzip, None);
    bench.repository.backup(&cx, &EtcdSource::new(config).unwrap(), &request).await.unwrap();
    drop(etcd);

    let verified = bench.run(&["verify", "etcd/prod", "latest", "--level", "restorable"]).code(0);
    assert!(verified.text().contains("SHA-256 trailer"), "{}", verified.text());
    let etcdutl = etcdutl.to_str().unwrap();
    let restore = ["restore", "etcd/prod", "latest", "--etcd-data-dir", "member", "--etcdutl", etcdutl];
    let member = bench.directory.path().join("member");
    bench.run(&[&restore[..], &["--dry-run"]].concat()).code(0);
    assert!(!member.exists());
    let json = bench.run(&[&restore[..], &["--json"]].concat()).code(0).json();
    assert_eq!(crate::bench::keys(&json), ["bytes", "details", "dry_run", "set", "warnings"]);
    let again = Ended::from(bench.command(&restore).output().unwrap());
    assert_ne!(again.code, 0, "it restored over a member: {}", again.said);

    let etcd = Server::start(&program, &Setup { fast: true, data: Some(&member), ..Setup::default() }).await;
    assert_filled(&mut etcd.client().await, 50, 100).await;
    drop(etcd);

    // The way without the program: what comes out is what etcdutl reads.
    bench.run(&["restore", "etcd/prod", "latest", "--to", "files"]).code(0);
    let files = bench.directory.path().join("files");
    assert!(Command::new("tar").arg("-xzf").arg("snapshot.tar.gz").current_dir(&files).status().unwrap().success());
    let status = Command::new(etcdutl).args(["snapshot", "status", "snapshot.db"]).current_dir(&files).output().unwrap();
    assert!(status.status.success(), "{status:?}");
}
