//! The program under test, in a directory of its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use backup_core::testkit::{free_port, note_secret};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, raw};
use crate::process::Process;

pub const ADMIN: &str = "6b43c6e2-8e96-48f8-acbc-eddfff41d40a";

/// How long something may take that has to happen; a machine may be slow.
const PATIENCE: Duration = Duration::from_secs(90);

/// A configuration with its directories. The program may be started on it again and again.
pub struct Place {
    home: TempDir,
    config: String,
    port: u16,
}

impl Place {
    /// `clusters` is that key of the configuration.
    pub fn new(clusters: &str) -> Self {
        note_secret(ADMIN);
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let (storage, state) = (home.path().join("nfs"), home.path().join("state").join("state.redb"));
        let config = format!(
            "listen: 127.0.0.1:{port}\ntime-zone: '+08:00'\nstate: {{ redb: {} }}\nstorage: {{ type: nfs, path: {}, concurrency: '4' }}\n\
             tokens: [{{ token: {ADMIN}, user: ops, role: admin }}]\nclusters:\n{clusters}\n",
            state.display(),
            storage.display(),
        );
        std::fs::create_dir_all(home.path().join("state")).unwrap();
        Self { home, config, port }
    }

    pub fn start(&self) -> Server {
        let program = env!("CARGO_BIN_EXE_tidb-backup");
        Server(Process::spawn(program, self.home.path(), &self.config, self.port).serving())
    }

    pub fn storage(&self) -> PathBuf {
        self.home.path().join("nfs")
    }

    /// All files of the server, but for its configuration.
    pub fn assert_nowhere(&self, secret: &str) {
        let mut open = vec![self.home.path().to_owned()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if !path.ends_with("config.yaml") {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "a secret is in {}", path.display());
            }
        }
    }
}

/// A running tidb-backup.
pub struct Server(Process);

impl Server {
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: server\r\nconnection: close\r\nauthorization: Bearer {ADMIN}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        raw(self.0.port, request.as_bytes()).unwrap_or_else(|| panic!("no whole answer to {method} {path}: {}", self.0.said()))
    }

    /// The data of an answer that has to be good.
    pub fn data(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, &body.to_string());
        assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(0)), "{answer:?}: {}", self.0.said());
        answer.json()["data"].clone()
    }

    pub fn back_up(&self, cluster: &str, kind: &str) -> String {
        let order = json!({ "clusterId": cluster, "backupType": kind, "backupMode": "manual" });
        self.data("POST", "/backups/", &order)["backupId"].as_str().unwrap().to_owned()
    }

    pub fn record(&self, id: &str) -> Value {
        self.data("GET", &format!("/backups/?backupId={id}"), &json!({}))["backupRecords"][0].clone()
    }

    /// Polls until it is over.
    pub async fn over(&self, id: &str) -> Value {
        self.poll(|| self.record(id)).await
    }

    pub async fn workflow_over(&self, id: &str) -> Value {
        self.poll(|| self.data("GET", &format!("/workflow/{id}"), &json!({}))["info"].clone()).await
    }

    async fn poll(&self, look: impl Fn() -> Value) -> Value {
        let began = Instant::now();
        loop {
            let found = look();
            if found["status"] == "Finished" || found["status"] == "Failed" {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{found}: {}", self.0.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn kill(mut self) {
        self.0.signal(Signal::KILL);
        self.0.wait();
    }

    pub fn stop(self) {
        self.0.stop();
    }

    pub fn get(&self, path: &str) -> Answer {
        self.0.get(path)
    }
}
