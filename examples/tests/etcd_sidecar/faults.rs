//! etcd is gone, the directory is full or cannot be written, requests are hostile.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::etcd::fill;
use crate::http::raw;
use crate::running;
use crate::sidecar::Place;

#[tokio::test(flavor = "multi_thread")]
async fn with_etcd_down_a_backup_fails_in_the_originals_words_and_the_last_one_is_served() {
    let Some(server) = running().await else { return };
    fill(&mut server.client().await, 3, 10).await;
    let place = Place::new();
    let sidecar = place.start(&server.url, "");
    sidecar.back_up();
    drop(server);
    let answer = sidecar.get("/v1/backupnow");
    assert_eq!((answer.status, answer.text().as_str()), (500, "no reachable member\n"), "{}", sidecar.said());
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert!(sidecar.said().contains("etcd.unreachable"), "{}", sidecar.said());
    assert_eq!(sidecar.get("/v1/backup").status, 200);
    assert_eq!(sidecar.get("/v1/status").json()["backups"], 1);
}

/// A small file system in memory; unmounted when dropped.
struct Tmpfs(TempDir);

impl Tmpfs {
    /// `None`, said aloud, where mounting is not allowed.
    fn mount(options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", options, "tmpfs"], directory.path());
        if !mounted {
            println!("SKIPPED: a small tmpfs needs root and mount(8)");
        }
        mounted.then_some(Self(directory))
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    Command::new("mount").args(arguments).arg(at).output().is_ok_and(|output| output.status.success())
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_full_directory_a_backup_fails_and_leaves_nothing_and_the_last_one_is_served() {
    let Some(server) = running().await else { return };
    let Some(disk) = Tmpfs::mount("size=2m") else { return };
    let mut client = server.client().await;
    fill(&mut client, 3, 10).await;
    let place = Place::at(disk.0.path());
    let sidecar = place.start(&server.url, "");
    let first = sidecar.back_up();
    fill(&mut client, 30, 100_000).await;
    let files = place.files();
    let answer = sidecar.get("/v1/backupnow");
    assert!(answer.status == 500 && answer.text().contains("store.no_space"), "{answer:?}");
    assert!(answer.text().starts_with("write snapshot failed: "), "{answer:?}");
    assert_eq!(place.files(), files);
    assert_eq!(sidecar.get("/v1/backup").header("x-revision"), first["revision"].to_string());
    assert_eq!(sidecar.get("/v1/status").json()["recentBackup"], first);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_read_only_directory_the_backups_are_served() {
    let Some(server) = running().await else { return };
    let Some(disk) = Tmpfs::mount("size=20m") else { return };
    let mut client = server.client().await;
    fill(&mut client, 3, 10).await;
    let place = Place::at(disk.0.path());
    let sidecar = place.start(&server.url, "");
    let first = sidecar.back_up();
    let file = place.files().remove(0);
    let original = std::fs::read(place.files_dir().join(&file)).unwrap();
    place.leave("3.4.0_0000000000000001_etcd.backup", &original);
    assert!(mount(&["-o", "remount,ro"], disk.0.path()));
    client.put("one", "more", None).await.unwrap();
    let answer = sidecar.get("/v1/backupnow");
    assert!(answer.status == 500 && answer.text().contains("store.read_only"), "{answer:?}");
    assert_eq!(sidecar.get("/v1/backup").status, 200);
    // A file of the original that was never read before.
    assert_eq!(sidecar.get("/v1/backup?etcdVersion=3.4.0&etcdRevision=1").status, 200);
    sidecar.stop();
    let sidecar = place.start(&server.url, "");
    assert_eq!(sidecar.get("/v1/backup").header("x-revision"), first["revision"].to_string());
    assert_eq!(sidecar.get("/v1/backupnow").status, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_requests_get_no_content() {
    let Some(server) = running().await else { return };
    let place = Place::new();
    let sidecar = place.start(&server.url, "");
    sidecar.back_up();
    let long = "a".repeat(1 << 20);
    for target in [
        "/v1/../v1/backup",
        "//v1/backup",
        "/v1//backup",
        "/v1/%2e%2e/v1/backup",
        "/v1%2Fbackup",
        "/v1/backup/",
        "/v1/backup%00",
        "/v1/backup/../../etc/passwd",
        "/v1/backup?etcdVersion=%00",
        "/v1/backup?etcdVersion=%zz",
        "/v1/backup?etcdVersion=../../../etc/passwd&etcdRevision=1",
        "/v1/backup?etcdVersion=..%2f..%2fx&etcdRevision=1",
        &format!("/v1/backup?etcdVersion={long}"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        if let Some(answer) = raw(sidecar.port, request.as_bytes()) {
            assert!((400..500).contains(&answer.status), "{}: {}", target.chars().take(60).collect::<String>(), answer.status);
        }
    }
    assert_eq!(sidecar.get("/v1/backup").status, 200);
    assert!(!sidecar.said().contains("panicked"), "{}", sidecar.said());
}
