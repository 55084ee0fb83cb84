//! The etcd part of the page, from a real server to a real server.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backup_core::testkit::free_port;
use backup_core::{Compression, Source};
use backup_sources::etcd::{EtcdConfig, EtcdSource, Packaging};
use tempfile::TempDir;

use crate::{Place, ready, tools};

const VERSION: &str = "3.6.15";

/// A server on free ports; killed when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(data: &Path, peer: &str) -> Self {
        let url = format!("http://127.0.0.1:{}", free_port());
        let mut command = Command::new(tools().join(format!("etcd/{VERSION}/etcd")));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.arg("--data-dir").arg(data).args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        // The names that the page restores for; only where it listens is this test's own.
        command.args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", "http://127.0.0.1:2380"]);
        command.args(["--name", "default", "--initial-cluster", "default=http://127.0.0.1:2380"]);
        let server = Self { child: command.spawn().unwrap(), url };
        let began = Instant::now();
        while server.ctl(&["endpoint", "health"]).is_none() {
            assert!(began.elapsed() < Duration::from_secs(60), "etcd is not ready");
        }
        server
    }

    fn ctl(&self, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(tools().join("etcdctl"));
        command.env_clear().env("ETCDCTL_API", "3").args(["--endpoints", &self.url]).args(arguments);
        let output = command.output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn peer() -> String {
    format!("http://127.0.0.1:{}", free_port())
}

#[tokio::test]
async fn an_etcd_snapshot_comes_back_from_every_packaging_and_compression() {
    if !ready(&["jq", "zstd", "etcdctl", "etcdutl", &format!("etcd/{VERSION}/etcd")]) {
        return;
    }
    let data = TempDir::new().unwrap();
    let server = Server::start(&data.path().join("data"), &peer());
    for n in 0..300 {
        server.ctl(&["put", &format!("key{n}"), &"value ".repeat(500)]).unwrap();
    }
    let keys = |server: &Server| server.ctl(&["get", "", "--prefix"]).unwrap();
    let expected = keys(&server);
    assert!(expected.contains("key299"));

    for (packaging, compression) in [
        (Packaging::Raw, Compression::None),
        (Packaging::Raw, Compression::Gzip),
        (Packaging::Tar, Compression::None),
        (Packaging::Tar, Compression::Gzip),
        (Packaging::Tar, Compression::Zstd),
    ] {
        let place = Place::new();
        let mut config = EtcdConfig::new([&server.url]);
        config.packaging = packaging;
        let source = EtcdSource::new(config).unwrap();
        assert_eq!(source.kind(), "etcd");
        place.backup(&source, compression).await;
        let text = place.run(&["newest", "manifest", "objects", "decompress", "etcd-unpack", "etcd-check", "etcd-restore"]);
        assert!(text.contains("manifest: OK") && text.contains("snapshot: OK"), "{text}");
        let restored = Server::start(&place.out.path().join("etcd"), &peer());
        assert!(keys(&restored) == expected, "{packaging:?} {compression:?} came back different");
    }
}
