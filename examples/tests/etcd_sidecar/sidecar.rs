//! The program as a process.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use backup_core::testkit::free_port;
use tempfile::TempDir;

use crate::process::Process;

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
        Sidecar(Process::spawn(env!("CARGO_BIN_EXE_etcd-sidecar"), home, &config, port))
    }

    /// Starts the program and waits until it serves.
    pub(crate) fn start(&self, etcd: &str, more: &str) -> Sidecar {
        Sidecar(self.spawn(etcd, more).0.serving())
    }
}

/// A running sidecar.
pub(crate) struct Sidecar(Process);

impl Sidecar {
    /// A backup that has to succeed.
    pub(crate) fn back_up(&self) -> serde_json::Value {
        let answer = self.get("/v1/backupnow");
        assert_eq!(answer.status, 200, "{answer:?}: {}", self.said());
        answer.json()
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.0.wait()
    }

    pub(crate) fn stop(self) {
        self.0.stop();
    }
}

impl Deref for Sidecar {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}
