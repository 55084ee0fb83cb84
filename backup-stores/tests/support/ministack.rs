//! A real S3 server for tests: ministack with signatures checked, and another client than ours (botocore) to look at it with.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test uses its own part"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::SystemTime;

use backup_core::testkit::{free_port, note_secret};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A running server. It ends with the process that started it, however that ends.
pub struct Ministack {
    pub endpoint: String,
    pub port: u16,
    pub key: String,
    pub secret: String,
    pub directory: TempDir,
    child: Child,
    pipe: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl Ministack {
    /// Starts a server that forgets everything when it ends, or says why there is none.
    pub fn start() -> Option<Self> {
        Self::started(false)
    }

    /// Starts a server that can be killed and started again. It forgets its users then, so its keys are those that it always knows, whose
    /// signatures it does not check.
    pub fn durable() -> Option<Self> {
        Self::started(true)
    }

    fn started(durable: bool) -> Option<Self> {
        let python = tool("ministack/bin/python")?;
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("backup-stores/tests/support/ministack.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(port.to_string())
            .arg(directory.path())
            .arg(if durable { "1" } else { "0" })
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pipe = Mutex::new(Some((child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()))));
        let mut server = Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            port,
            key: String::new(),
            secret: String::new(),
            directory,
            child,
            pipe,
        };
        let made = server.line();
        server.key = made["key"].as_str().unwrap().to_owned();
        server.secret = made["secret"].as_str().unwrap().to_owned();
        // That of a durable server is a word that the server knows: `test`.
        if server.secret != "test" {
            note_secret(&server.secret);
        }
        if durable {
            (server.key, server.secret) = ("test".to_owned(), "test".to_owned());
        }
        Some(server)
    }

    /// One server for all tests of a program.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Ministack>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    fn line(&self) -> Value {
        let mut line = String::new();
        self.pipe.lock().unwrap().as_mut().unwrap().1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("ministack.py ended or answered nonsense: {error}: {line:?}"))
    }

    fn ask(&self, request: &Value) -> Value {
        let mut pipe = self.pipe.lock().unwrap();
        let pipe = pipe.as_mut().unwrap();
        writeln!(pipe.0, "{request}").unwrap();
        let mut line = String::new();
        pipe.1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("ministack.py ended or answered nonsense: {error}: {line:?}"))
    }

    /// Stops, starts, kills or restarts the server: `stop`, `start`, `restart`, `kill`, `kill-restart`.
    pub fn server(&self, what: &str) {
        assert_eq!(self.ask(&json!({ "server": what })), json!({}));
    }

    /// Puts small objects into a bucket while the server is down, as files of its own.
    pub fn seed(&self, bucket: &str, names: &[String]) {
        self.server("stop");
        let root = self.directory.path().join("s3/000000000000").join(bucket);
        for name in names {
            let file = root.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "x").unwrap();
        }
        self.server("start");
    }

    /// Calls an operation of a botocore client, `{"error": code}` when the server refuses.
    pub fn call(&self, service: &str, operation: &str, arguments: Value) -> Value {
        self.ask(&json!({ "service": service, "operation": operation, "arguments": arguments }))
    }

    pub fn s3(&self, operation: &str, arguments: Value) -> Value {
        self.call("s3", operation, arguments)
    }

    /// A bucket with a name of its own.
    pub fn bucket(&self, with_lock: bool) -> String {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
        let bucket = format!("b{n}-{}-{time}", std::process::id());
        let made = self.s3("create_bucket", json!({ "Bucket": bucket, "ObjectLockEnabledForBucket": with_lock }));
        assert_eq!(made["error"], Value::Null, "{made}");
        bucket
    }

    /// How many uploads under a prefix are unfinished.
    pub fn uploads(&self, bucket: &str, prefix: &str) -> usize {
        let listed = self.s3("list_multipart_uploads", json!({ "Bucket": bucket, "Prefix": prefix }));
        assert_eq!(listed["error"], Value::Null, "{listed}");
        listed["Uploads"].as_array().map_or(0, Vec::len)
    }

    /// The names of the objects under a prefix (the first thousand).
    pub fn names(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let listed = self.s3("list_objects_v2", json!({ "Bucket": bucket, "Prefix": prefix }));
        assert_eq!(listed["error"], Value::Null, "{listed}");
        let objects = listed["Contents"].as_array().cloned().unwrap_or_default();
        objects.iter().map(|object| object["Key"].as_str().unwrap().to_owned()).collect()
    }

    /// The block `s3:` of a configuration.
    pub fn block(&self, bucket: &str, prefix: &str) -> Value {
        json!({
            "endpoint": self.endpoint, "bucket": bucket, "prefix": prefix, "region": "us-east-1", "path-style": true,
            "access-key-id": self.key, "secret-access-key": self.secret,
        })
    }
}

impl Drop for Ministack {
    fn drop(&mut self) {
        // The end of its input ends it, and the server with it.
        if let Ok(mut pipe) = self.pipe.lock() {
            *pipe = None;
        }
        let _ = self.child.wait();
    }
}

/// `.tools/<path>`; without it the test is skipped aloud, or fails where real servers are asked for.
pub fn tool(path: &str) -> Option<PathBuf> {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(".tools").join(path);
    if tool.exists() {
        return Some(tool);
    }
    let wanted = std::env::var_os("BACKUP_TEST_REAL").is_some_and(|value| value == "1");
    assert!(!wanted, "{} is missing: run tools/fetch-ministack.sh", tool.display());
    println!("SKIPPED: run tools/fetch-ministack.sh");
    None
}
