//! Cases against `etcdctl`, with one real etcd for both sides.

use std::error::Error;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use etcd_client::{Client, Txn, TxnOp};

use super::data::Numbers;
use super::stored::shell;
use super::{Outcome, Race, Settings, Side, remove, text};

/// Bytes of a value.
const VALUE: usize = 8 << 10;
/// Values put at once: etcd takes requests of up to 1.5 MiB.
const AT_ONCE: u64 = 96;
pub(super) const CLIENT: &str = "127.0.0.1:23790";
const PEER: &str = "http://127.0.0.1:23800";

/// A running server; killed when dropped.
pub(super) struct Server {
    child: Child,
    mib: u64,
    version: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// To a local file, beside `etcdctl snapshot save`.
pub(super) async fn raw(settings: &Settings) -> Outcome {
    let server = Server::start(settings).await?;
    let (root, file) = (settings.path("etcd-store"), settings.path("etcdctl.db"));
    let (store, file_name) = (text(&root)?, text(&file)?);
    let race = Race {
        name: format!("etcd {}, {} MiB database, to a file", server.version, server.mib),
        goal: 0.9,
        ours: Side {
            name: "ours",
            prepare: Box::new(|| remove(&root)),
            command: Box::new(|| settings.job(&["backup-etcd", store, "none", "raw", CLIENT])),
        },
        peer: Side {
            name: "etcdctl snapshot save",
            prepare: Box::new(|| remove(&file)),
            command: Box::new(|| shell(&save(file_name))),
        },
        server: Some(server.child.id()),
    };
    race.run(settings.rounds)?;
    remove(&root)?;
    remove(&file)
}

/// To a tar.gz, beside `etcdctl snapshot save` and `tar czf`.
pub(super) async fn tar(settings: &Settings) -> Outcome {
    let server = Server::start(settings).await?;
    let (root, file, packed) = (settings.path("etcd-store"), settings.path("etcdctl.db"), settings.path("etcdctl.tar.gz"));
    let (store, file_name, packed_name) = (text(&root)?, text(&file)?, text(&packed)?);
    let race = Race {
        name: format!("etcd {}, {} MiB database, to a tar.gz", server.version, server.mib),
        goal: 0.35,
        ours: Side {
            name: "ours",
            prepare: Box::new(|| remove(&root)),
            command: Box::new(|| settings.job(&["backup-etcd", store, "gzip", "tar", CLIENT])),
        },
        peer: Side {
            name: "etcdctl, then tar czf",
            prepare: Box::new(|| remove(&file).and_then(|()| remove(&packed))),
            command: Box::new(|| {
                shell(&format!("{}; tar czf '{packed_name}' -C '{}' etcdctl.db", save(file_name), settings.directory.display()))
            }),
        },
        server: Some(server.child.id()),
    };
    let reports = race.run(settings.rounds)?;
    let ours = reports.first().and_then(|report| report.get("stored")?.as_f64()).unwrap_or(f64::NAN);
    let peer = fs::metadata(&packed)?.len() as f64;
    println!("  size {ours} and {peer}: {:+.2} %", (ours / peer - 1.0) * 100.0);
    remove(&root)?;
    remove(&packed)?;
    remove(&file)
}

fn save(file: &str) -> String {
    let etcdctl = std::env::var("ETCDCTL").unwrap_or_else(|_| "etcdctl".to_owned());
    format!("ETCDCTL_API=3 '{etcdctl}' --endpoints '{CLIENT}' snapshot save '{file}'")
}

impl Server {
    /// Starts the server on the data of an earlier run, or fills it.
    pub(super) async fn start(settings: &Settings) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let program = std::env::var_os("ETCD").map_or_else(|| PathBuf::from("etcd"), PathBuf::from);
        let version = version(&program)?;
        let minor: String = version.split('.').take(2).collect::<Vec<_>>().join(".");
        let data = settings.path(&format!("etcd-{minor}-{}", settings.mib));
        let filled = data.with_extension("filled");
        if !filled.exists() {
            remove(&data)?;
        }
        let log = File::create(data.with_extension("log"))?;
        let child = Command::new(&program)
            .args(["--name", "bench", "--data-dir", text(&data)?, "--quota-backend-bytes", "8589934592"])
            .args(["--listen-client-urls", &format!("http://{CLIENT}"), "--advertise-client-urls", &format!("http://{CLIENT}")])
            .args(["--listen-peer-urls", PEER, "--initial-advertise-peer-urls", PEER])
            .args(["--initial-cluster", &format!("bench={PEER}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{} does not start: {error}", program.display()))?;
        let mut server = Self { child, mib: 0, version };
        let mut client = server.ready().await?;
        if !filled.exists() {
            fill(&mut client, settings.mib).await?;
            File::create(&filled)?;
        }
        server.mib = client.status().await?.db_size() as u64 >> 20;
        Ok(server)
    }

    async fn ready(&mut self) -> Result<Client, Box<dyn Error + Send + Sync>> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let connected = async { Client::connect([CLIENT], None).await?.status().await.map(drop) };
            match tokio::time::timeout(Duration::from_secs(2), connected).await {
                Ok(Ok(())) => return Ok(Client::connect([CLIENT], None).await?),
                _ if self.child.try_wait()?.is_some() => return Err("etcd ended; is its port taken by another?".into()),
                _ if Instant::now() > deadline => return Err("etcd did not answer within a minute".into()),
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

fn version(program: &PathBuf) -> Result<String, Box<dyn Error + Send + Sync>> {
    let output = Command::new(program).arg("--version").output().map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().find_map(|line| line.strip_prefix("etcd Version: ")).unwrap_or("?").to_owned())
}

/// Puts objects until the database has its size.
async fn fill(client: &mut Client, mib: u64) -> Outcome {
    let mut numbers = Numbers::new(mib);
    for at in 0.. {
        if at % 32 == 0 && client.status().await?.db_size() as u64 >> 20 >= mib {
            return Ok(());
        }
        let puts = (0..AT_ONCE).map(|n| {
            let key = format!("/registry/pods/team-{:02}/web-{:09}", (at * AT_ONCE + n) % 40, at * AT_ONCE + n);
            TxnOp::put(key, numbers.object(VALUE), None)
        });
        client.txn(Txn::new().and_then(puts.collect::<Vec<_>>())).await?;
    }
    Ok(())
}

/// Moves the revision.
pub(super) async fn touch() -> Outcome {
    Client::connect([CLIENT], None).await?.put("touched", "", None).await?;
    Ok(())
}
