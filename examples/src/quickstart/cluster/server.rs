//! An etcd that lives as long as its value.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use etcd_client::{Client, GetOptions};

use crate::quickstart::failure::Failure;

const START_LIMIT: Duration = Duration::from_secs(30);
/// Between a port being found free and etcd taking it somebody else may.
const ATTEMPTS: u32 = 3;

/// A server on loopback; killed and waited for when dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    address: String,
    version: String,
    log: PathBuf,
}

impl Server {
    /// Starts an etcd on a data directory, new or restored, and waits until it answers.
    pub(super) async fn start(program: &Path, data: &Path) -> Result<Self, Failure> {
        let mut attempt = 1;
        loop {
            let mut server = Self::spawn(program, data)?;
            match server.ready().await {
                Ok(()) => return Ok(server),
                Err(failure) if attempt == ATTEMPTS => return Err(failure),
                Err(_) => attempt += 1,
            }
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) async fn client(&self) -> Result<Client, Failure> {
        Client::connect([&self.address], None).await.map_err(|error| Failure::new(format!("connecting to etcd: {error}")))
    }

    fn spawn(program: &Path, data: &Path) -> Result<Self, Failure> {
        let [client, peer] = free_addresses()?;
        let log = data.with_extension("log");
        let output = File::create(&log)?;
        let mut command = Command::new(program);
        // In a process group of its own: Ctrl-C is for this program, which then ends the server in its own order.
        command.env_clear().process_group(0);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let urls = [format!("http://{client}"), format!("http://{peer}")];
        let [client_url, peer_url] = &urls;
        // The name for which etcdutl restores when it is told none.
        command.args(["--name", "default", "--initial-cluster", &format!("default={peer_url}"), "--data-dir"]).arg(data);
        command.args(["--listen-client-urls", client_url, "--advertise-client-urls", client_url]);
        command.args(["--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url]);
        let child =
            command.spawn().map_err(|error| Failure::new(format!("{} could not be started: {error}", program.display())))?;
        Ok(Self { child, address: client, version: String::new(), log })
    }

    async fn ready(&mut self) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(self.failure(&format!("etcd ended early ({status})")));
            }
            if let Some(version) = self.answer().await {
                self.version = version;
                return Ok(());
            }
            if started.elapsed() > START_LIMIT {
                return Err(self.failure("etcd does not answer"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its version, once it also serves a read that needs a leader.
    async fn answer(&self) -> Option<String> {
        let mut client = Client::connect([&self.address], None).await.ok()?;
        client.get("ready?", Some(GetOptions::new().with_count_only())).await.ok()?;
        Some(client.status().await.ok()?.version().to_owned())
    }

    fn failure(&self, what: &str) -> Failure {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut lines: Vec<_> = log.lines().rev().take(5).map(|line| line.chars().take(300).collect::<String>()).collect();
        lines.reverse();
        Failure::new(format!("{what}; its log ends:\n{}", lines.join("\n")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_addresses() -> Result<[String; 2], Failure> {
    // Held together, so that they differ.
    let (a, b) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok([a.local_addr()?.to_string(), b.local_addr()?.to_string()])
}
