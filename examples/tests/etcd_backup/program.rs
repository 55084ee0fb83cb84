//! The program under test, in a directory of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::etcd::free_port;
use crate::http::{self, Answer};

/// A configuration with its directories. The program may be started on it again and again.
pub struct Place {
    home: TempDir,
    pub backups: PathBuf,
    address: SocketAddr,
}

impl Place {
    /// `rest` are further lines of the configuration.
    pub fn new(etcd: &str, rest: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let backups = home.path().join("backups");
        Self::at(home, backups, etcd, rest)
    }

    pub fn at(home: TempDir, backups: PathBuf, etcd: &str, rest: &str) -> Self {
        let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
        let config = format!(
            "backup-dir: {}\nlisten: {address}\nstate: {{ redb: {} }}\netcd: {{ endpoints: ['{etcd}'], timeout: 2s }}\n{rest}\n",
            backups.display(),
            home.path().join("state.redb").display()
        );
        std::fs::write(home.path().join("config.yaml"), config).unwrap();
        Self { home, backups, address }
    }

    /// Starts the program and waits until it answers.
    pub fn start(&self) -> Program {
        let mut program = self.spawn();
        let began = Instant::now();
        while !program.ask("GET", "/healthz").is_ok_and(|answer| answer.status == 200) {
            let exited = program.child.try_wait().unwrap();
            assert!(exited.is_none() && began.elapsed() < Duration::from_secs(60), "it does not answer: {}", program.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        program
    }

    pub fn spawn(&self) -> Program {
        let log = self.home.path().join("log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_etcd-backup"));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = command.arg("-config").arg(self.home.path().join("config.yaml")).spawn().unwrap();
        Program { child, address: self.address, log }
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

/// A running program; killed when dropped.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
}

impl Program {
    pub fn ask(&self, method: &str, path: &str) -> std::io::Result<Answer> {
        http::ask(self.address, method, path)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).unwrap_or_else(|error| panic!("{path}: {error}: {}", self.log()))
    }

    pub fn post(&self) -> Answer {
        self.ask("POST", "/api/v1/backup").unwrap_or_else(|error| panic!("{error}: {}", self.log()))
    }

    /// A backup that has to succeed; gives its name.
    pub fn backup(&self) -> String {
        let answer = self.post();
        assert_eq!(answer.status, 200, "{answer:?}: {}", self.log());
        answer.json()["filename"].as_str().unwrap().to_owned()
    }

    pub fn names(&self) -> Vec<String> {
        let answer = self.get("/api/v1/backup");
        assert_eq!(answer.status, 200, "{answer:?}");
        crate::names(&answer.body)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// The end of the log, colours left out.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
