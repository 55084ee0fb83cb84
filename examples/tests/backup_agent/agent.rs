//! The program under test, with scripts that do as they are told and say what they were told.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use backup_core::testkit::free_port;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, raw};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);
const CREDENTIALS: &str = "Basic bWFuYWdlcjphZ2VudC1wYXNzd29yZA==";

pub const STAGES: [&str; 9] = [
    "pre-backup-lock",
    "pre-backup-check",
    "backup",
    "backup-cleanup",
    "post-backup-unlock",
    "pre-restore-lock",
    "restore",
    "restore-cleanup",
    "post-restore-unlock",
];

/// Every stage: notes its arguments, prints, waits while it is told to, and does what it is told.
const SCRIPT: &str = r#"
here=$(cd "$(dirname "$0")/.." && pwd)
stage=${0##*/}
{ printf '%s' "$stage"; for argument in "$@"; do printf ' [%s]' "$argument"; done; echo; } >>"$here/trace"
echo "out of $stage"
echo "err of $stage" >&2
if [ -e "$here/hold-$stage" ]; then
    echo $$ >"$here/held-$stage.new"
    mv "$here/held-$stage.new" "$here/held-$stage"
    while [ -e "$here/hold-$stage" ]; do sleep 0.05; done
fi
[ ! -e "$here/do-$stage" ] || . "$here/do-$stage"
"#;

/// A directory with everything the agent needs. The program may be started on it again and again.
pub struct Place {
    pub home: TempDir,
    pub variables: BTreeMap<String, String>,
    pub port: u16,
}

/// A running agent; killed when dropped.
pub struct Agent {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name).display().to_string();
        fs::create_dir(home.path().join("scripts")).unwrap();
        for stage in STAGES {
            fs::write(home.path().join("scripts").join(stage), SCRIPT).unwrap();
        }
        let port = free_port();
        let variables = [
            ("client_username", "manager".to_owned()),
            ("client_password", "agent-password".to_owned()),
            ("client_address", "127.0.0.1".to_owned()),
            ("client_port", port.to_string()),
            ("directory_backup", path("backup")),
            ("directory_restore", path("restore")),
            ("scripts_path", path("scripts")),
            ("state_path", path("state.redb")),
            ("RUST_LOG", "info".to_owned()),
            ("PATH", std::env::var("PATH").unwrap()),
        ];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let place = Self { home, variables, port };
        place.tell("backup", "printf 'the data' >\"$here/backup/$6/$5.dump\"");
        place
    }

    #[must_use]
    pub fn variable(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.insert(name.to_owned(), value.to_string());
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What a stage does from now on, in bash.
    pub fn tell(&self, stage: &str, what: &str) {
        fs::write(self.path(&format!("do-{stage}")), what).unwrap();
    }

    /// Lets a stage wait, until it is let go.
    pub fn hold(&self, stage: &str) {
        fs::write(self.path(&format!("hold-{stage}")), "").unwrap();
    }

    pub fn let_go(&self, stage: &str) {
        fs::remove_file(self.path(&format!("hold-{stage}"))).unwrap();
    }

    /// Waits until a stage waits; gives its process.
    pub fn held(&self, stage: &str) -> Pid {
        let file = self.path(&format!("held-{stage}"));
        until(&format!("{stage} is reached"), || file.exists());
        let pid = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        fs::remove_file(file).unwrap();
        Pid::from_raw(pid).unwrap()
    }

    /// What the scripts were told so far, a line each.
    pub fn trace(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("trace")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The stages that ran so far.
    pub fn ran(&self) -> Vec<String> {
        self.trace().iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backup-agent"));
        command.env_clear().envs(&self.variables).current_dir(self.home.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts the program and waits until it serves.
    pub fn start(&self) -> Agent {
        let log = self.path("log");
        let mut command = self.command();
        command.stderr(File::options().create(true).append(true).open(&log).unwrap());
        let mut agent = Agent { child: command.spawn().unwrap(), port: self.port, log };
        let began = Instant::now();
        while agent.try_ask("GET", "/status", "").is_none() {
            let exited = agent.child.try_wait().unwrap();
            assert!(exited.is_none() && began.elapsed() < PATIENCE, "it does not serve: {}", agent.said());
            std::thread::sleep(Duration::from_millis(5));
        }
        agent
    }
}

impl Agent {
    pub fn try_ask(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        self.try_ask_as(CREDENTIALS, method, path, body)
    }

    pub fn try_ask_as(&self, credentials: &str, method: &str, path: &str, body: &str) -> Option<Answer> {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\nauthorization: {credentials}\r\n");
        raw(self.port, format!("{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes())
    }

    pub fn ask(&self, method: &str, path: &str, body: impl ToString) -> Answer {
        let answer = self.try_ask(method, path, &body.to_string());
        answer.unwrap_or_else(|| panic!("no whole answer to {method} {path}: {}", self.said()))
    }

    /// Starts a backup that has to be accepted.
    pub fn post(&self, body: impl ToString) {
        let answer = self.ask("POST", "/backup", body);
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Starts a restore that has to be accepted.
    pub fn put(&self, body: impl ToString) {
        let answer = self.ask("PUT", "/restore", body);
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    pub fn job(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Polls until the job has ended.
    pub fn ended(&self, path: &str) -> Value {
        self.ended_within(path, PATIENCE * 2)
    }

    /// Polls until the job has ended, for so long.
    pub fn ended_within(&self, path: &str, patience: Duration) -> Value {
        let began = Instant::now();
        loop {
            let job = self.job(path);
            if job["status"] != "RUNNING" {
                return job;
            }
            assert!(began.elapsed() < patience, "{path} does not end: {job}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A job that has to succeed.
    pub fn succeeds(&self, path: &str) -> Value {
        let job = self.ended(path);
        assert_eq!(job["status"], "SUCCEEDED", "{job}: {}", self.said());
        job
    }

    /// A job that has to fail; its `error_message`.
    pub fn fails(&self, path: &str) -> String {
        let job = self.ended(path);
        assert_eq!(job["status"], "FAILED", "{job}: {}", self.said());
        job["error_message"].as_str().unwrap().to_owned()
    }

    pub fn delete(&self, path: &str, id: &str) -> u16 {
        self.ask("DELETE", path, json!({ "id": id })).status
    }

    /// What it logged so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The most memory that it had so far, in bytes.
    pub fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as an init system does.
    pub fn stop(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it never came that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process lives; a zombie does not.
pub fn lives(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    test_kill_process(pid).is_ok() && !stat.contains(") Z ")
}

fn job(kind: &str, id: &str, destination: &Value) -> Value {
    let database =
        json!({ "host": "db.example", "username": "user", "password": "the-password", "database": "app", "parameters": null });
    json!({ "id": id, "compression": false, "encryption_key": "the-encryption-key", "destination": destination, kind: database })
}

pub fn backup(id: &str, destination: &Value) -> Value {
    job("backup", id, destination)
}

pub fn restore(id: &str, destination: &Value, filename: &str) -> Value {
    let mut destination = destination.clone();
    destination["filename"] = json!(filename);
    job("restore", id, &destination)
}

/// A destination that nobody talks to: the scripts move the data.
pub fn skipped() -> Value {
    json!({ "type": "S3", "skipStorage": true, "bucket": "bucket", "endpoint": "https://s3.example", "authKey": "the-key", "authSecret": "the-secret" })
}

/// A server that is not there.
pub fn nowhere() -> Value {
    json!({ "type": "S3", "bucket": "bucket", "endpoint": "http://127.0.0.1:1", "authKey": "the-key", "authSecret": "the-secret" })
}

pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
