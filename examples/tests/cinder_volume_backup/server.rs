//! The program under test, in a directory of its own, and its users.

use std::path::Path;
use std::time::{Duration, Instant};

use backup_core::Environment;
use backup_core::testkit::{free_port, note_secret, test_context};
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::Keystone;
use backup_remote::{CallLimits, Calls};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::http::{Answer, raw};
use crate::openstack::OpenStack;
use crate::process::Process;

/// How long something may take that has to happen; a machine may be slow.
const PATIENCE: Duration = Duration::from_secs(300);

/// A store in the directory of a [`Place`].
pub const FILES: &str = "fs: { root: HOME/backups }";

/// A configuration with its directories. The program may be started on it again and again.
pub struct Place {
    home: TempDir,
    config: String,
    port: u16,
}

impl Place {
    /// `more` are further keys of the configuration.
    pub fn new(stack: &OpenStack, more: &str) -> Self {
        Self::with(stack, FILES, "", more)
    }

    /// With a store, and first keys of `rbd`, each with a comma; in both `HOME` is this directory.
    pub fn with(stack: &OpenStack, store: &str, rbd: &str, more: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let port = free_port();
        let ours = stack.keystone("backup", "service");
        let config = format!(
            "listen: 127.0.0.1:{port}\nstore: {{ {store} }}\nstate: {{ redb: HOME/state.redb }}\nowner: test-{port}\n\
             keystone: {{ auth-url: '{auth}', username: backup, password: '{password}', project: service, region: RegionOne }}\n\
             volume-access: {{ rbd: {{ {rbd}conf: {conf}, pools: [{pool}] }} }}\nshutdown-grace: 2s\n{more}",
            auth = ours.auth_url,
            password = stack.password(),
            conf = stack.ceph_conf().display(),
            pool = stack.pool(),
        );
        std::fs::create_dir_all(home.path().join("backups")).unwrap();
        let config = config.replace("HOME", home.path().to_str().unwrap());
        Self { home, config, port }
    }

    /// The same, with another value of a key that stands in a line of its own.
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let start = format!("{key}: ");
        let mut lines: Vec<_> = self.config.lines().map(str::to_owned).collect();
        let line = lines.iter_mut().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no key {key}"));
        *line = start + value;
        self.config = lines.join("\n") + "\n";
        self
    }

    /// The same, in another region than that of everybody.
    pub fn region(mut self, name: &str) -> Self {
        self.config = self.config.replace("region: RegionOne", &format!("region: {name}"));
        self
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// How its things at Cinder are marked.
    pub fn owner(&self) -> String {
        format!("test-{}", self.port)
    }

    pub fn start(&self) -> Server {
        let program = env!("CARGO_BIN_EXE_volume-backup");
        Server(Process::spawn(program, self.home.path(), &self.config, self.port).serving())
    }
}

/// A running volume-backup.
pub struct Server(Process);

impl Server {
    pub fn port(&self) -> u16 {
        self.0.port
    }

    pub fn said(&self) -> String {
        self.0.said()
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

    /// Bytes of memory, by a name of `/proc/PID/status`.
    pub fn memory(&self, name: &str) -> u64 {
        self.0.memory(name)
    }
}

/// Somebody with a token, who asks the server.
#[derive(Clone)]
pub struct User {
    pub token: String,
    pub project: String,
    pub port: u16,
}

impl User {
    pub async fn new(stack: &OpenStack, server: &Server, user: &str, project: &str) -> Self {
        let http = Http::new(Calls::new("test", CallLimits::default()), &HttpOptions::default()).unwrap();
        let keystone = Keystone::new(http, stack.keystone(user, project)).unwrap();
        let token = keystone.token(&test_context(&Environment::default())).await.unwrap();
        let (text, project) = (token.header().to_str().unwrap().to_owned(), token.project_id().unwrap().to_owned());
        note_secret(&text);
        Self { token: text, project, port: server.port() }
    }

    pub fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let asked = tokio::task::block_in_place(|| self.try_ask(method, path, body));
        asked.unwrap_or_else(|| panic!("no whole answer to {method} {path}"))
    }

    /// Asks in a thread of its own; `None` when the server ends before it answers.
    pub fn asking(&self, method: &'static str, path: String, body: Value) -> JoinHandle<Option<Answer>> {
        let user = self.clone();
        tokio::task::spawn_blocking(move || user.try_ask(method, &path, &body.to_string()))
    }

    fn try_ask(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        let (length, token) = (body.len(), &self.token);
        let request = format!(
            "{method} /v1{path} HTTP/1.1\r\nhost: server\r\nconnection: close\r\nx-auth-token: {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        raw(self.port, request.as_bytes())
    }

    /// An answer with this status.
    pub fn told(&self, status: u16, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, path, &if body.is_null() { String::new() } else { body.to_string() });
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    pub fn shown(&self, path: &str) -> Value {
        self.told(200, "GET", path, &Value::Null).as_object().unwrap().values().next().unwrap().clone()
    }

    /// Polls until a backup or snapshot is in a state that lasts.
    pub async fn over(&self, path: &str) -> Value {
        let began = Instant::now();
        loop {
            let found = self.shown(path);
            match found["status"].as_str().unwrap() {
                "active" | "error" => return found,
                _ => assert!(began.elapsed() < PATIENCE, "{found}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub async fn active(&self, path: &str) -> Value {
        let found = self.over(path).await;
        assert_eq!(found["status"], "active", "{found}");
        found
    }

    /// Polls until it is not there any more.
    pub async fn gone(&self, path: &str) {
        let began = Instant::now();
        loop {
            let found = self.ask("GET", path, "");
            if found.status == 404 {
                return;
            }
            let failed = found.text().contains(r#""status":"error""#);
            assert!(!failed && began.elapsed() < PATIENCE, "{path} is still there: {found:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub fn back_up(&self, volume: &str, incremental: bool) -> String {
        let order = json!({ "backup": { "name": "of-a-test", "volume_id": volume, "incremental": incremental } });
        self.told(201, "POST", "/volume/backup", &order)["backup"]["id"].as_str().unwrap().to_owned()
    }
}

/// Polls until something is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
