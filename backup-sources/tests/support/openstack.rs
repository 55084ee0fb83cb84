//! The real OpenStack with Cinder that `tools/openstack.sh up all` started, and its own clients: witnesses of what our code does.
//!
//! Tests share it and run at the same time: each makes volumes of its own, and removes them. A test that ends a service asks to be
//! [`alone`](OpenStack::alone).
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test file uses its part of it"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use backup_core::testkit::{note_secret, test_context};
use backup_core::{Digest, Environment, Hasher, JobContext};
use backup_remote::http::http::{Method, Request, StatusCode};
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::{Keystone, KeystoneConfig, Service};
use backup_remote::{Call, CallLimits, Calls, Repeat};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Where the scripts lie, and the programs of the system.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
/// How long anything may take: many times what it takes.
const PATIENCE: Duration = Duration::from_secs(300);

static SERVICES: LazyLock<Arc<RwLock<()>>> = LazyLock::new(Arc::default);

#[derive(Debug)]
enum Turn {
    Shared(OwnedRwLockReadGuard<()>),
    Alone(OwnedRwLockWriteGuard<()>),
}

/// Where everything is, and who may use it.
#[derive(Debug, Clone)]
pub struct OpenStack {
    variables: Arc<BTreeMap<String, String>>,
    base: PathBuf,
    turn: Arc<Turn>,
}

/// The base of the running services.
pub fn base() -> PathBuf {
    std::env::var_os("OS_BASE").map_or_else(|| Path::new(ROOT).join("target/openstack"), PathBuf::from)
}

fn http() -> Http {
    Http::new(Calls::new("test", CallLimits::default()), &HttpOptions::default()).unwrap()
}

impl OpenStack {
    /// The services; without them the test is skipped aloud, or fails where real servers are asked for. Once a test.
    pub async fn wanted() -> Option<Self> {
        let variables = Self::variables()?;
        let turn = Turn::Shared(Arc::clone(&SERVICES).read_owned().await);
        Some(Self { variables, base: base(), turn: Arc::new(turn) })
    }

    /// As [`OpenStack::wanted`], while no other test of this program uses them: for ending and starting services.
    pub async fn alone() -> Option<Self> {
        let variables = Self::variables()?;
        let turn = Turn::Alone(Arc::clone(&SERVICES).write_owned().await);
        Some(Self { variables, base: base(), turn: Arc::new(turn) })
    }

    fn variables() -> Option<Arc<BTreeMap<String, String>>> {
        let text = std::fs::read_to_string(base().join("env")).unwrap_or_default();
        let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        let variables: BTreeMap<_, _> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if !variables.contains_key("CEPH_CONF") {
            let real = std::env::var_os("BACKUP_TEST_REAL").is_some_and(|value| value == "1");
            assert!(!real, "no Cinder is up: run tools/openstack.sh up all");
            println!("SKIPPED: run tools/openstack.sh up all");
            return None;
        }
        note_secret(&variables["OS_PASSWORD"]);
        Some(Arc::new(variables))
    }

    /// A line of `env`.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).unwrap_or_else(|| panic!("env has no {name}"))
    }

    pub fn auth_url(&self) -> &str {
        self.variable("OS_AUTH_URL")
    }

    pub fn password(&self) -> &str {
        self.variable("OS_PASSWORD")
    }

    pub fn ceph_conf(&self) -> PathBuf {
        self.variable("CEPH_CONF").into()
    }

    /// The pool of the volumes of type `rbd1`.
    pub fn pool(&self) -> &str {
        self.variable("CEPH_POOL")
    }

    /// A pool for what a test puts aside.
    pub fn backup_pool(&self) -> &str {
        self.variable("CEPH_BACKUP_POOL")
    }

    /// Below which Cinder has the shares of `nfs1` and `file2` mounted.
    pub fn nfs_mounts(&self) -> PathBuf {
        self.variable("NFS_MOUNTS").into()
    }

    /// Where the catalogue has Nova: a test may stand for it there. One at a time.
    pub fn nova_port(&self) -> u16 {
        self.variable("NOVA_PORT").parse().unwrap()
    }

    /// Where the catalogue has the service `cms-backup`. One test at a time.
    pub fn backup_port(&self) -> u16 {
        self.variable("BACKUP_PORT").parse().unwrap()
    }

    /// A user in a project. There are `demo` in `demo`, `other` in `other`, `backup` in `service`, and `admin` in each and in `admin`.
    pub fn keystone(&self, user: &str, project: &str) -> KeystoneConfig {
        let mut config = KeystoneConfig::from_environment(|name| self.variables.get(name).cloned()).unwrap();
        config.username = Some(user.to_owned());
        config.project = Some(project.to_owned());
        config
    }

    /// Ends a service as a crash would, and starts it again.
    pub async fn restart(&self, service: &str) {
        self.script("restart", service).await;
    }

    pub async fn stop(&self, service: &str) {
        self.script("stop", service).await;
    }

    pub async fn start(&self, service: &str) {
        self.script("start", service).await;
    }

    async fn script(&self, what: &str, service: &str) {
        assert!(matches!(*self.turn, Turn::Alone(_)), "other tests use {service}: ask for OpenStack::alone");
        let mut command = Command::new(Path::new(ROOT).join("tools/openstack.sh"));
        ran(command.args([what, service]).env_clear().env("PATH", PATH).env("OS_BASE", &self.base)).await;
    }

    pub async fn as_demo(&self) -> Witness {
        self.witness("demo", "demo").await
    }

    pub async fn as_other(&self) -> Witness {
        self.witness("other", "other").await
    }

    /// The administrator, in the project of `demo`: what it imports is demo's.
    pub async fn as_admin(&self) -> Witness {
        self.witness("admin", "demo").await
    }

    pub async fn witness(&self, user: &str, project: &str) -> Witness {
        let cx = test_context(&Environment::default());
        let config = self.keystone(user, project);
        let cinder = Keystone::new(http(), config).unwrap().service(&cx, http(), &["volumev3"]).await.unwrap();
        Witness { stack: self.clone(), user: user.to_owned(), project: project.to_owned(), cinder, cx }
    }

    /// `rbd`, on our Ceph.
    pub async fn rbd(&self, arguments: &[&str]) -> Vec<u8> {
        ran(self.rbd_command().args(arguments)).await
    }

    fn rbd_command(&self) -> Command {
        let mut command = Command::new("rbd");
        command.env_clear().env("PATH", PATH).env("CEPH_CONF", self.ceph_conf()).kill_on_drop(true);
        command
    }

    /// The image of a volume of type `rbd1`.
    pub fn image(&self, volume: &str) -> String {
        format!("{}/volume-{volume}", self.pool())
    }

    /// Writes into a volume of type `rbd1`; its snapshots stay what they are.
    pub async fn write(&self, volume: &str, pieces: &[(u64, &[u8])]) {
        let image = self.image(volume);
        let info: Value = serde_json::from_slice(&self.rbd(&["info", "--format", "json", &image]).await).unwrap();
        // What `rbd export-diff` makes (doc/dev/rbd-diff, version 1).
        let mut diff = b"rbd diff v1\n".to_vec();
        diff.push(b's');
        diff.extend(info["size"].as_u64().unwrap().to_le_bytes());
        for (offset, data) in pieces {
            diff.push(b'w');
            diff.extend(offset.to_le_bytes());
            diff.extend((data.len() as u64).to_le_bytes());
            diff.extend(*data);
        }
        diff.push(b'e');
        let mut command = self.rbd_command();
        let command = command.args(["import-diff", "--no-progress", "-", &image]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&diff).await.unwrap();
        assert!(child.wait().await.unwrap().success(), "rbd import-diff {image}");
    }

    /// The digest of a whole image or `image@snapshot`.
    pub async fn digest(&self, image: &str) -> Digest {
        let mut command = self.rbd_command();
        let command = command.args(["export", "--no-progress", image, "-"]).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (mut output, mut hasher, mut buffer) = (child.stdout.take().unwrap(), Hasher::new(), vec![0; 1 << 20]);
        loop {
            match output.read(&mut buffer).await.unwrap() {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        assert!(child.wait().await.unwrap().success(), "rbd export {image}");
        hasher.finish()
    }

    /// The file that a volume of type `nfs1` or `file2` is now: a qcow2 overlay once it has a snapshot.
    pub fn active_file(&self, kind: &str, volume: &str) -> PathBuf {
        let (share, name) = (self.base.join("share").join(kind), format!("volume-{volume}"));
        let info = std::fs::read(share.join(format!("{name}.info"))).ok();
        let info: Option<Value> = info.map(|info| serde_json::from_slice(&info).unwrap());
        share.join(info.map_or(name, |info| info["active"].as_str().unwrap().to_owned()))
    }
}

/// A user in a project, with OpenStack's own clients, and with Cinder's API for what is asked often: a client takes seconds.
#[derive(Debug)]
pub struct Witness {
    stack: OpenStack,
    user: String,
    project: String,
    cinder: Service,
    cx: JobContext,
}

impl Witness {
    /// `cinder`: what it printed.
    pub async fn cinder(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.client("/usr/bin/cinder", arguments).await).unwrap()
    }

    /// `openstack`, asked for JSON.
    pub async fn openstack(&self, arguments: &[&str]) -> Value {
        let printed = self.client("/usr/bin/openstack", &[arguments, &["-f", "json"]].concat()).await;
        serde_json::from_slice(&printed).unwrap_or(Value::Null)
    }

    /// `swift`: what it printed.
    pub async fn swift(&self, arguments: &[&str]) -> Vec<u8> {
        self.client("/usr/bin/swift", arguments).await
    }

    async fn client(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", PATH).env("LANG", "C.UTF-8").envs(&*self.stack.variables);
        ran(command.env("OS_USERNAME", &self.user).env("OS_PROJECT_NAME", &self.project)).await
    }

    /// A request to Cinder's API; the path begins behind the project.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.cinder.url()));
        let request = request.header("openstack-api-version", "volume 3.70").header("content-type", "application/json");
        let request = request.body(body.map(|body| body.to_string().into()).into_iter().collect()).unwrap();
        let call = Call::changing("Test", Repeat::Always);
        let (parts, body) = self.cinder.fetch(&self.cx, &call, request, 16 << 20).await.unwrap().into_parts();
        (parts.status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// What a `POST` made, or asked for.
    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, Some(body.clone())).await;
        assert!(status.is_success(), "{path} {body}: {status} {answer}");
        answer
    }

    /// What is there: the object itself, without its wrapping.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let (status, answer) = self.call(Method::GET, path, None).await;
        assert!(status.is_success() || status == StatusCode::NOT_FOUND, "{path}: {status} {answer}");
        if status == StatusCode::NOT_FOUND {
            return None;
        }
        answer.as_object().and_then(|wrapped| wrapped.values().next().cloned())
    }

    /// Waits until `/volumes/…`, `/snapshots/…` or `/backups/…` has this status, and fails when it comes to an error instead.
    pub async fn until(&self, path: &str, status: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = self.get(path).await.unwrap_or_else(|| panic!("{path} is gone"));
            match there["status"].as_str().unwrap_or_default() {
                now if now == status => return there,
                now => assert!(!now.starts_with("error") && Instant::now() < deadline, "not {status}: {there}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Deletes, and waits until it is gone.
    pub async fn remove(&self, path: &str) {
        let (status, answer) = self.call(Method::DELETE, path, None).await;
        assert!(status.is_success() || status == StatusCode::NOT_FOUND, "{path}: {status} {answer}");
        let deadline = Instant::now() + PATIENCE;
        while let Some(there) = self.get(path.split('?').next().unwrap()).await {
            assert!(Instant::now() < deadline && there["status"] != "error_deleting", "{there}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// A volume of a type: `rbd1`, `nfs1` or `file2`. Its id.
    pub async fn volume(&self, kind: &str, gib: u64) -> String {
        let wanted = json!({ "size": gib, "volume_type": kind, "name": "of a test" });
        let id = id_of(&self.post("/volumes", json!({ "volume": wanted })).await);
        self.until(&format!("/volumes/{id}"), "available").await;
        id
    }

    /// A snapshot of a volume, whether that is in use or not.
    pub async fn snapshot(&self, volume: &str) -> String {
        let wanted = json!({ "volume_id": volume, "force": true });
        let id = id_of(&self.post("/snapshots", json!({ "snapshot": wanted })).await);
        self.until(&format!("/snapshots/{id}"), "available").await;
        id
    }

    /// A backup by Cinder's own backup service, in Swift.
    pub async fn backup(&self, volume: &str, incremental: bool) -> String {
        let wanted = json!({ "volume_id": volume, "incremental": incremental, "force": true });
        let id = id_of(&self.post("/backups", json!({ "backup": wanted })).await);
        self.until(&format!("/backups/{id}"), "available").await;
        id
    }

    /// `cinder backup-import`; only the administrator may. Waits until Cinder has found it whole.
    pub async fn import(&self, service: &str, url: &str) -> String {
        let printed = self.cinder(&["backup-import", service, url]).await;
        let id = property(&printed, "id").unwrap_or_else(|| panic!("{printed}"));
        self.until(&format!("/backups/{id}"), "available").await;
        id
    }

    /// Cinder's own restore into a volume, waited for.
    pub async fn restore(&self, backup: &str, volume: &str) {
        self.post(&format!("/backups/{backup}/restore"), json!({ "restore": { "volume_id": volume } })).await;
        self.until(&format!("/backups/{backup}"), "available").await;
        self.until(&format!("/volumes/{volume}"), "available").await;
    }
}

/// The id of what was made.
pub fn id_of(made: &Value) -> String {
    made.as_object().and_then(|wrapped| wrapped.values().next()?["id"].as_str()).unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// A value of a table that `cinder` printed.
pub fn property(table: &str, name: &str) -> Option<String> {
    let mut rows = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    Some((*rows.find(|row| row.get(1) == Some(&name))?.get(2)?).to_owned())
}

/// What a program printed that ended well.
async fn ran(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
