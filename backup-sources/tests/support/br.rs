//! Stands in for the program `br` and for PD, for the tests of whoever drives them.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "each test file uses a part"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../backup-sources/tests/support/br.bash");
/// How long a test waits for something that has to happen; a machine may be slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster of two files and a `br` that backs them up; see `br.bash` for what it does.
pub struct StandIn {
    directory: PathBuf,
    _owned: Option<TempDir>,
}

/// How the program was started.
#[derive(Debug)]
pub struct Run {
    pub pid: i32,
    /// Without the interpreter.
    pub argv: Vec<String>,
    pub environment: BTreeMap<String, String>,
}

impl StandIn {
    pub fn new() -> Self {
        let owned = tempfile::tempdir().unwrap();
        let stand_in = Self { directory: owned.path().to_owned(), _owned: Some(owned) };
        // A link, for a program that was just written cannot always be started by a process with many threads.
        std::os::unix::fs::symlink(SCRIPT, stand_in.binary()).unwrap();
        std::fs::create_dir(stand_in.path("cluster")).unwrap();
        stand_in.cluster("a", b"the first of the data, ");
        stand_in.cluster("b", b"and the rest of it");
        stand_in
    }

    /// One that another process made.
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), _owned: None }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn binary(&self) -> PathBuf {
        self.path("br")
    }

    /// Puts data into the cluster: each file becomes an SST.
    pub fn cluster(&self, name: &str, data: &[u8]) {
        std::fs::write(self.path("cluster").join(name), data).unwrap();
    }

    /// All that was restored so far.
    pub fn restored(&self) -> Option<Vec<u8>> {
        std::fs::read(self.path("restored")).ok()
    }

    /// Tells it what to do, as assignments of the shell.
    pub fn control(&self, assignments: &str) {
        std::fs::write(self.path("control"), assignments).unwrap();
    }

    /// Stops it in the middle of its work until [`StandIn::release`].
    pub fn hold(&self) {
        let _ = std::fs::remove_file(self.path("reached"));
        std::fs::write(self.path("hold"), "").unwrap();
    }

    pub fn release(&self) {
        std::fs::remove_file(self.path("hold")).unwrap();
    }

    /// Waits until it got to the middle of its work.
    pub async fn reached(&self) {
        until("the middle of br's work", || self.path("reached").exists()).await;
    }

    /// Every run but those that asked for the version.
    pub fn runs(&self) -> Vec<Run> {
        let Ok(entries) = std::fs::read_dir(self.path("seen")) else { return Vec::new() };
        let strings = |path: &Path| -> Vec<String> {
            let bytes = std::fs::read(path).unwrap();
            bytes
                .split(|byte| *byte == 0)
                .map(|text| String::from_utf8(text.to_vec()).unwrap())
                .filter(|text| !text.is_empty())
                .collect()
        };
        let run = |path: PathBuf| Run {
            pid: path.file_stem().unwrap().to_str().unwrap().parse().unwrap(),
            argv: strings(&path).split_off(1),
            environment: strings(&path.with_extension("environ"))
                .iter()
                .filter_map(|text| text.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "argv")).map(run).collect()
    }

    /// The only run.
    pub fn run(&self) -> Run {
        let mut runs = self.runs();
        assert_eq!(runs.len(), 1, "runs: {runs:?}");
        runs.remove(0)
    }

    /// The process that it leaves in its group with `CHILD=1`.
    pub fn child(&self) -> i32 {
        std::fs::read_to_string(self.path("child")).unwrap().parse().unwrap()
    }
}

/// Whether a process runs; one that ended and was not reaped does not.
pub fn lives(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat.rsplit_once(')').unwrap().1.trim_start().starts_with(['Z', 'X'])
}

/// Waits until something is so.
pub async fn until(what: &str, so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

type Answers = Arc<Mutex<BTreeMap<String, String>>>;

/// Stands in for PD: answers each path of its API with what a test says, and everything else with 404.
pub struct StandInPd {
    pub address: String,
    answers: Answers,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl StandInPd {
    /// PD of a healthy cluster of version 6.5.0.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (answers, asked): (Answers, Arc<Mutex<Vec<String>>>) = Default::default();
        let task = {
            let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(answer(stream, Arc::clone(&answers), Arc::clone(&asked)));
                }
            })
        };
        let pd = Self { address, answers, asked, task };
        pd.answer("/cluster", r#"{"id": 7123456789012345678, "max_peer_count": 3}"#);
        pd.answer("/version", r#"{"version": "v6.5.0"}"#);
        pd.answer("/gc/safepoint", r#"{"service_gc_safe_points": [], "gc_safe_point": 439330705621123078}"#);
        pd.tikv("6.5.0");
        pd
    }

    /// Answers `path` under `/pd/api/v1` with `body`.
    pub fn answer(&self, path: &str, body: &str) {
        self.answers.lock().unwrap().insert(format!("/pd/api/v1{path}"), body.to_owned());
    }

    /// The cluster has one TiKV of this version.
    pub fn tikv(&self, version: &str) {
        let store = format!(r#"{{"id": 1, "address": "127.0.0.1:20160", "version": "{version}", "state_name": "Up"}}"#);
        self.answer("/stores", &format!(r#"{{"count": 1, "stores": [{{"store": {store}, "status": {{}}}}]}}"#));
    }

    /// Knows none of its paths any more.
    pub fn forget(&self) {
        self.answers.lock().unwrap().clear();
    }

    /// The paths that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for StandInPd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, answers: Answers, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let path = String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().to_owned();
    let body = answers.lock().unwrap().get(&path).cloned();
    asked.lock().unwrap().push(path);
    let (status, body) = body.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    let _ = stream.shutdown().await;
}
