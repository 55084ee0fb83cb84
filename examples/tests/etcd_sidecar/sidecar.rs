//! The program as a process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use backup_core::testkit::free_port;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::http::{Answer, try_ask};

/// What a sidecar keeps over its restarts: the directory with the backups, its state, its configuration.
pub(crate) struct Place {
    home: Arc<TempDir>,
    root: PathBuf,
    port: u16,
}

impl Place {
    pub(crate) fn new() -> Self {
        let home = Arc::new(tempfile::tempdir().unwrap());
        let root = home.path().join("backups");
        Self { home, root, port: free_port() }
    }

    /// With its backups in a directory that is there.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), ..Self::new() }
    }

    /// The same place on another port.
    pub(crate) fn elsewhere(&self) -> Self {
        Self { home: Arc::clone(&self.home), root: self.root.clone(), port: free_port() }
    }

    /// The directory of the cluster's files.
    pub(crate) fn files_dir(&self) -> PathBuf {
        self.root.join("v1/prod")
    }

    /// The names in it, in order.
    pub(crate) fn files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.files_dir()) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Leaves a file as the original would.
    pub(crate) fn leave(&self, name: &str, content: &[u8]) {
        let path = self.files_dir().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Starts the program without waiting for it.
    pub(crate) fn spawn(&self, etcd: &str, more: &str) -> Sidecar {
        let home = self.home.path();
        let (root, state, port) = (self.root.display(), home.join("state.redb"), self.port);
        let config = format!(
            "cluster-name: prod\nlisten: 127.0.0.1:{port}\nstore: {{ fs: {{ root: {root} }} }}\nstate: {{ redb: {} }}\n\
             etcd: {{ endpoints: [\"{etcd}\"], timeout: 10s }}\n{more}\n",
            state.display()
        );
        fs::write(home.join("config.yaml"), config).unwrap();
        let log = home.join("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_etcd-sidecar"));
        command.env_clear().env("RUST_LOG", "info").stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::options().create(true).append(true).open(&log).unwrap());
        let child = command.arg("--config").arg(home.join("config.yaml")).spawn().unwrap();
        Sidecar { child, port, log }
    }

    /// Starts the program and waits until it serves.
    pub(crate) fn start(&self, etcd: &str, more: &str) -> Sidecar {
        let mut sidecar = self.spawn(etcd, more);
        let began = Instant::now();
        while try_ask(self.port, "GET", "/healthz").is_none() {
            let exited = sidecar.child.try_wait().unwrap();
            assert!(exited.is_none() && began.elapsed() < Duration::from_secs(30), "it does not serve: {}", sidecar.said());
            std::thread::sleep(Duration::from_millis(5));
        }
        sidecar
    }
}

/// A running sidecar; killed when dropped.
pub(crate) struct Sidecar {
    child: Child,
    pub(crate) port: u16,
    log: PathBuf,
}

impl Sidecar {
    pub(crate) fn ask(&self, method: &str, path: &str) -> Answer {
        try_ask(self.port, method, path).unwrap_or_else(|| panic!("no whole answer to {method} {path}: {}", self.said()))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path)
    }

    /// A backup that has to succeed.
    pub(crate) fn back_up(&self) -> serde_json::Value {
        self.get("/v1/backupnow").json()
    }

    /// What it logged so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Ends it as an init system does.
    pub(crate) fn stop(self) {
        self.signal(Signal::TERM);
        let log = self.log.clone();
        let status = self.wait();
        assert!(status.success(), "{status}: {}", fs::read_to_string(log).unwrap());
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
