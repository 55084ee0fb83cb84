//! The program under test, in a directory of its own.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::etcd::free_port;
use crate::http::Answer;
use crate::process::Process;

/// A configuration with its directories. The program may be started on it again and again.
pub struct Place {
    home: TempDir,
    pub backups: PathBuf,
    config: String,
    port: u16,
}

impl Place {
    /// `rest` are further lines of the configuration.
    pub fn new(etcd: &str, rest: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let backups = home.path().join("backups");
        Self::at(home, backups, etcd, rest)
    }

    pub fn at(home: TempDir, backups: PathBuf, etcd: &str, rest: &str) -> Self {
        let port = free_port();
        let config = format!(
            "backup-dir: {}\nlisten: 127.0.0.1:{port}\nstate: {{ redb: {} }}\netcd: {{ endpoints: ['{etcd}'], timeout: 2s }}\n{rest}\n",
            backups.display(),
            home.path().join("state.redb").display()
        );
        Self { home, backups, config, port }
    }

    /// Starts the program and waits until it serves.
    pub fn start(&self) -> Program {
        Program(self.spawn().0.serving())
    }

    pub fn spawn(&self) -> Program {
        Program(Process::spawn(env!("CARGO_BIN_EXE_etcd-backup"), self.home.path(), &self.config, self.port))
    }

    /// Puts a file into the backup directory that was last changed so long ago.
    pub fn put(&self, name: &str, bytes: &[u8], age: Duration) {
        std::fs::create_dir_all(&self.backups).unwrap();
        std::fs::write(self.backups.join(name), bytes).unwrap();
        let file = std::fs::File::options().write(true).open(self.backups.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - age).unwrap();
    }

    /// What lies in the backup directory, but for the records.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.backups).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.retain(|name| name != ".backup");
        files.sort();
        files
    }

    pub fn path(&self) -> &Path {
        self.home.path()
    }
}

/// A running etcd-backup.
pub struct Program(Process);

impl Program {
    pub fn post(&self) -> Answer {
        self.ask("POST", "/api/v1/backup")
    }

    /// A backup that has to succeed; gives its name.
    pub fn backup(&self) -> String {
        let answer = self.post();
        assert_eq!(answer.status, 200, "{answer:?}: {}", self.said());
        answer.json()["filename"].as_str().unwrap().to_owned()
    }

    pub fn names(&self) -> Vec<String> {
        let answer = self.get("/api/v1/backup");
        assert_eq!(answer.status, 200, "{answer:?}");
        crate::names(&answer.body)
    }
}

impl Deref for Program {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.0
    }
}
