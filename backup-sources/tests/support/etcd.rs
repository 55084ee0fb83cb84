//! Real etcd servers for tests: found, started, stopped, restored.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub use backup_core::testkit::free_port;
use backup_sources::etcd::EtcdConfig;
use etcd_client::{Certificate, Client, ConnectOptions, GetOptions, Identity, TlsOptions};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub const V3_4: &str = "3.4.45";
pub const V3_5: &str = "3.5.34";
pub const V3_6: &str = "3.6.15";
pub const V3_7: &str = "3.7.2";

/// `.tools/<path>`; without it the test is skipped aloud, or fails where real servers are asked for.
pub fn tool(path: &str) -> Option<PathBuf> {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(".tools").join(path);
    if tool.exists() {
        return Some(tool);
    }
    let wanted = std::env::var_os("BACKUP_TEST_REAL").is_some_and(|value| value == "1");
    assert!(!wanted, "{} is missing: run tools/fetch-etcd.sh", tool.display());
    println!("SKIPPED: run tools/fetch-etcd.sh");
    None
}

/// The server program of a version.
pub fn server(version: &str) -> Option<PathBuf> {
    tool(&format!("etcd/{version}/etcd"))
}

/// A certificate authority with a server's and a client's certificate.
pub struct Pki {
    directory: TempDir,
}

impl Pki {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pki = Self { directory };
        std::fs::write(pki.path("ext"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n").unwrap();
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        pki.openssl(
            &[&["req", "-x509", "-subj", "/CN=test-ca", "-days", "2", "-keyout", "ca.key", "-out", "ca.crt"], &key[..]].concat(),
        );
        for name in ["server", "client"] {
            let subject = format!("/CN={name}");
            let (key_file, request, cert) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
            pki.openssl(&[&["req", "-subj", &subject, "-keyout", &key_file, "-out", &request], &key[..]].concat());
            pki.openssl(&[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                "2",
                "-extfile",
                "ext",
                "-out",
                &cert,
            ]);
        }
        pki
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.directory.path()).output().unwrap();
        assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

/// A running member; killed when dropped.
pub struct Server {
    child: Child,
    pub url: String,
    pub peer: String,
    pub directory: TempDir,
    options: ConnectOptions,
}

/// How to start one.
#[derive(Default)]
pub struct Setup<'a> {
    pub pki: Option<&'a Pki>,
    /// The data directory of a restored member instead of a new one.
    pub data: Option<&'a Path>,
    pub fast: bool,
    /// `name=peer-url` pairs of a cluster, and which of them this is.
    pub cluster: Option<(&'a [(String, String)], usize)>,
    /// Whether the cluster runs already.
    pub join: bool,
}

impl Server {
    /// Starts a member; it may not answer yet.
    pub fn spawn(program: &Path, setup: &Setup<'_>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let scheme = if setup.pki.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{}", free_port());
        let (name, peer, cluster) = match setup.cluster {
            Some((members, index)) => {
                let all = members.iter().map(|(name, url)| format!("{name}={url}")).collect::<Vec<_>>().join(",");
                (members[index].0.clone(), members[index].1.clone(), all)
            }
            // What etcdutl restores for without further flags, so that the member fits.
            None => {
                let peer = format!("http://127.0.0.1:{}", free_port());
                ("default".to_owned(), peer.clone(), format!("default={peer}"))
            }
        };
        let data = setup.data.map_or_else(|| directory.path().join("data"), Path::to_owned);
        let log = File::create(directory.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command.env_clear().stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command.arg("--name").arg(name).arg("--data-dir").arg(data);
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer, "--initial-cluster", &cluster]);
        command.args(["--quota-backend-bytes", "1000000000"]);
        if setup.cluster.is_none() {
            // It waits for an election before it answers, a second by default, and nobody else votes.
            command.args(["--heartbeat-interval", "10", "--election-timeout", "100"]);
        }
        if setup.join {
            command.args(["--initial-cluster-state", "existing"]);
        }
        if setup.fast {
            command.arg("--unsafe-no-fsync");
        }
        let mut options = ConnectOptions::new();
        if let Some(pki) = setup.pki {
            command.arg("--cert-file").arg(pki.path("server.crt")).arg("--key-file").arg(pki.path("server.key"));
            command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(pki.path("ca.crt"));
            let tls = TlsOptions::new()
                .ca_certificate(Certificate::from_pem(pki.text("ca.crt")))
                .identity(Identity::from_pem(pki.text("client.crt"), pki.text("client.key")));
            options = options.with_tls(tls);
        }
        let child = command.spawn().unwrap();
        Self { child, url, peer, directory, options }
    }

    /// Starts a member and waits until it answers.
    pub async fn start(program: &Path, setup: &Setup<'_>) -> Self {
        let mut server = Self::spawn(program, setup);
        server.ready().await;
        server
    }

    pub async fn ready(&mut self) {
        let began = Instant::now();
        loop {
            if let Ok(mut client) = Client::connect([&self.url], Some(self.options.clone())).await
                && answers(&mut client).await
            {
                return;
            }
            let exited = self.child.try_wait().unwrap();
            assert!(exited.is_none() && began.elapsed() < Duration::from_secs(60), "etcd is not ready: {}", self.log_end());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn log_end(&self) -> String {
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        log.lines().rev().take(5).map(|line| line.chars().take(300).collect::<String>() + "\n").collect()
    }

    pub async fn client(&self) -> Client {
        Client::connect([&self.url], Some(self.options.clone())).await.unwrap()
    }

    pub async fn client_as(&self, user: &str, password: &str) -> Client {
        Client::connect([&self.url], Some(self.options.clone().with_user(user, password))).await.unwrap()
    }

    /// A source configuration for this member, without a user.
    pub fn config(&self, pki: Option<&Pki>) -> EtcdConfig {
        let mut config = EtcdConfig::new([&self.url]);
        config.timeout = Duration::from_secs(20);
        if let Some(pki) = pki {
            config.tls_ca_file = pki.path("ca.crt");
            config.tls_cert_file = pki.path("client.crt");
            config.tls_key_file = pki.path("client.key");
        }
        config
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A read goes through; one that is refused for want of a user has gone through, too.
async fn answers(client: &mut Client) -> bool {
    match client.get("ready?", None).await {
        Ok(_) => true,
        Err(error) => ["user name is empty", "permission denied"].iter().any(|text| error.to_string().contains(text)),
    }
}

/// Puts `count` keys of `size` bytes that do not compress; gives back the store's revision.
pub async fn fill(client: &mut Client, count: usize, size: usize) -> u64 {
    let mut revision = 0;
    for n in 0..count {
        let response = client.put(key(n), value(n, size), None).await.unwrap();
        revision = response.header().unwrap().revision();
    }
    u64::try_from(revision).unwrap()
}

fn key(n: usize) -> String {
    format!("key/{n:06}")
}

fn value(n: usize, size: usize) -> Vec<u8> {
    let mut state = n as u64 + 1;
    let mut value = Vec::with_capacity(size + 8);
    while value.len() < size {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        value.extend_from_slice(&(state >> 16).to_le_bytes());
    }
    value.truncate(size);
    value
}

/// Every key that [`fill`] put is there with its value.
pub async fn assert_filled(client: &mut Client, count: usize, size: usize) {
    let keys = client.get("key/", Some(GetOptions::new().with_prefix().with_count_only())).await.unwrap();
    assert_eq!(keys.count(), i64::try_from(count).unwrap());
    for n in 0..count {
        let found = client.get(key(n), None).await.unwrap();
        assert!(found.kvs().first().is_some_and(|kv| kv.value() == value(n, size)), "key {n} is missing or differs");
    }
}

/// `etcdutl snapshot restore` with its hash check on.
pub fn restore(snapshot: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (file, data) = (directory.path().join("s.db"), directory.path().join("data"));
    std::fs::write(&file, snapshot).unwrap();
    let output = etcdutl(&["snapshot", "restore"]).arg(&file).arg("--data-dir").arg(&data).output().unwrap();
    assert!(output.status.success(), "etcdutl refused it: {}", String::from_utf8_lossy(&output.stderr));
    (directory, data)
}

pub fn etcdutl(arguments: &[&str]) -> Command {
    let mut command = Command::new(tool("etcdutl").unwrap());
    command.env_clear().args(arguments);
    command
}
