//! Another S3 server for tests: s3s-fs, which keeps objects as files. It lacks what ministack has (listing uploads), and has what that lacks.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backup_core::testkit::free_port;
use serde_json::{Value, json};
use tempfile::TempDir;

const BUCKET: &str = "bucket";

/// A running server. It ends with the process that started it, however that ends.
pub struct S3s {
    endpoint: String,
    directory: TempDir,
    child: Child,
}

impl S3s {
    /// Starts a server with one bucket; `None`, and a word why, without its program.
    pub fn start() -> Option<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(".tools/s3s-fs");
        if !program.exists() {
            println!("SKIPPED: run tools/fetch-s3s.sh");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join(BUCKET)).unwrap();
        let port = free_port();
        // The end of the shell's input ends the server.
        let script = "\"$0\" \"$@\" </dev/null & server=$!; cat >/dev/null; kill $server";
        let child = Command::new("sh")
            .args(["-c", script])
            .arg(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--access-key", "AKIDS3S", "--secret-key", "s3s-secret"])
            .arg(directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "s3s-fs does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { endpoint: format!("http://127.0.0.1:{port}"), directory, child })
    }

    /// The block `s3:` of a configuration.
    pub fn block(&self, prefix: &str) -> Value {
        json!({
            "endpoint": self.endpoint, "bucket": BUCKET, "prefix": prefix, "access-key-id": "AKIDS3S", "secret-access-key": "s3s-secret",
        })
    }

    /// Where the server keeps what lies under a prefix.
    pub fn files(&self, prefix: &str) -> PathBuf {
        self.directory.path().join(BUCKET).join(prefix)
    }
}

impl Drop for S3s {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
