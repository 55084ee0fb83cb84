//! The real OpenStack with Cinder that `tools/openstack.sh up all` started, and its own clients: witnesses of what our code does.
//!
//! Tests share it and run at the same time: each makes volumes of its own, and removes them. A test that ends a service asks to be
//! [`alone`](OpenStack::alone), and is in a program that is called so.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each test file uses its part of it"
)]

#[path = "openstack/witness.rs"]
mod witness;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, LazyLock};

use backup_core::testkit::{note_secret, test_context};
use backup_core::{Digest, Environment, Hasher};
use backup_remote::http::{Http, HttpOptions};
use backup_remote::keystone::{Keystone, KeystoneConfig};
use backup_remote::{CallLimits, Calls};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

pub use witness::{Witness, id_of, property};

/// Where the scripts lie, and the programs of the system.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

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

    /// Whether Cinder has volumes of this type; skips aloud. Those of `nfs1` and `local2` need a machine that allows bind mounts.
    pub fn has(&self, kind: &str) -> bool {
        let has = self.variable("VOLUME_TYPES").trim_matches('\'').split(' ').any(|there| there == kind);
        if !has {
            println!("SKIPPED: no bind mounts here, so Cinder has no volumes of type {kind}");
        }
        has
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

    /// Below which Cinder has the shares of `nfs1` and `local2` mounted.
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

    /// Tokens given from now on live so many seconds, until what this answers is dropped.
    pub async fn short_tokens(&self, seconds: u32) -> ShortTokens {
        let mut restart = self.command("restart", "keystone");
        ran(restart.env("OS_TOKEN_SECONDS", seconds.to_string())).await;
        ShortTokens { back: self.command("restart", "keystone").into_std() }
    }

    async fn script(&self, what: &str, service: &str) {
        ran(&mut self.command(what, service)).await;
    }

    fn command(&self, what: &str, service: &str) -> Command {
        assert!(matches!(*self.turn, Turn::Alone(_)), "other tests use {service}: ask for OpenStack::alone");
        let mut command = Command::new(Path::new(ROOT).join("tools/openstack.sh"));
        command.args([what, service]).env_clear().env("PATH", PATH).env("OS_BASE", &self.base);
        command
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
        Witness::new(self.clone(), user, project, cinder, cx)
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

    /// The digest of a whole image or `image@snapshot`, as [`VolumeDigest`] has it.
    pub async fn digest(&self, image: &str) -> Digest {
        let mut command = self.rbd_command();
        let command = command.args(["export", "--no-progress", image, "-"]).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (mut output, mut digest, mut buffer) = (child.stdout.take().unwrap(), VolumeDigest::default(), vec![0; 1 << 20]);
        loop {
            match output.read(&mut buffer).await.unwrap() {
                0 => break,
                count => digest.update(&buffer[..count]),
            }
        }
        assert!(child.wait().await.unwrap().success(), "rbd export {image}");
        digest.finish()
    }

    /// The file that a volume of type `nfs1` or `local2` is now: a qcow2 overlay once it has a snapshot.
    pub fn active_file(&self, kind: &str, volume: &str) -> PathBuf {
        let (share, name) = (self.base.join("share").join(kind), format!("volume-{volume}"));
        let info = std::fs::read(share.join(format!("{name}.info"))).ok();
        let info: Option<Value> = info.map(|info| serde_json::from_slice(&info).unwrap());
        share.join(info.map_or(name, |info| info["active"].as_str().unwrap().to_owned()))
    }
}

/// What two volumes have in common that are equal byte by byte: the digest of all pieces that are not zeros, with their places. Most of a
/// test's volume is zeros, and a digest of all of it costs more than the rest of the test.
#[derive(Debug, Default)]
pub struct VolumeDigest {
    hasher: Hasher,
    at: u64,
    piece: Vec<u8>,
}

impl VolumeDigest {
    const ZEROS: &[u8] = &[0; 64 << 10];

    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (taken, rest) = bytes.split_at(bytes.len().min(Self::ZEROS.len() - self.piece.len()));
            self.piece.extend_from_slice(taken);
            bytes = rest;
            if self.piece.len() == Self::ZEROS.len() {
                self.end_piece();
            }
        }
    }

    fn end_piece(&mut self) {
        if self.piece != Self::ZEROS[..self.piece.len()] {
            self.hasher.update(&self.at.to_le_bytes());
            self.hasher.update(&self.piece);
        }
        self.at += self.piece.len() as u64;
        self.piece.clear();
    }

    pub fn finish(mut self) -> Digest {
        self.end_piece();
        self.hasher.update(&self.at.to_le_bytes());
        self.hasher.finish()
    }
}

/// Keystone gives tokens that run out soon.
#[derive(Debug)]
pub struct ShortTokens {
    back: std::process::Command,
}

impl Drop for ShortTokens {
    fn drop(&mut self) {
        assert!(self.back.status().unwrap().success() || std::thread::panicking(), "Keystone did not come back");
    }
}

/// What a program printed that ended well.
async fn ran(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
