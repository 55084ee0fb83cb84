//! A server as a process of its own, started from a configuration.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::http::{Answer, try_ask};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; killed when dropped.
pub struct Process {
    child: Child,
    pub port: u16,
    log: PathBuf,
}

impl Process {
    /// Starts the program without waiting for it. The configuration becomes `config.yaml` in `home`, and what it logs is appended to the
    /// file `log` there.
    pub fn spawn(program: &str, home: &Path, config: &str, port: u16) -> Self {
        fs::write(home.join("config.yaml"), config).unwrap();
        let log = home.join("log");
        let mut command = Command::new(program);
        command.env_clear().env("RUST_LOG", "info").stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::options().create(true).append(true).open(&log).unwrap());
        let child = command.arg("--config").arg(home.join("config.yaml")).spawn().unwrap();
        Self { child, port, log }
    }

    /// Waits until it serves.
    pub fn serving(mut self) -> Self {
        let began = Instant::now();
        while try_ask(self.port, "GET", "/healthz").is_none() {
            let exited = self.child.try_wait().unwrap();
            assert!(exited.is_none() && began.elapsed() < PATIENCE, "it does not serve: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
        self
    }

    pub fn ask(&self, method: &str, path: &str) -> Answer {
        try_ask(self.port, method, path).unwrap_or_else(|| panic!("no whole answer to {method} {path}: {}", self.said()))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path)
    }

    /// What it logged so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Bytes of memory, by a name of `/proc/PID/status`: `VmRSS` is what it has, `VmHWM` the most that it had.
    pub fn memory(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Ends it as an init system does.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "{status}: {}", self.said());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
