//! The servers under clients: requests a second, downloads beside nginx, and their memory.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::running::Running;
use super::stored::{backup, shell};
use super::{Outcome, Race, Settings, Side, etcd, remove, text};
use crate::job::CLUSTER;
use crate::proc::{cpu_of, load, resident_kib};

const BACKUPS: u64 = 1000;
const CLIENTS: usize = 64;
const SERVER: &str = "127.0.0.1:18110";
const NGINX: &str = "127.0.0.1:18111";

impl Running {
    /// One of our servers over the backups in `root`.
    fn server(settings: &Settings, name: &str, root: &Path) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let (config, state) = (settings.path(&format!("{name}.yaml")), settings.path(&format!("{name}.redb")));
        remove(&state)?;
        let special = match name {
            "etcd-sidecar" => format!("cluster-name: {CLUSTER}\nstore: {{ fs: {{ root: {} }} }}", text(root)?),
            _ => format!("backup-dir: {}\nrotate: 100000", text(root)?),
        };
        let (etcd, state) = (etcd::CLIENT, text(&state)?);
        fs::write(
            &config,
            format!(
                "{special}\nlisten: {SERVER}\nstate: {{ redb: {state} }}\netcd: {{ endpoints: [\"http://{etcd}\"], timeout: 20s }}\n"
            ),
        )?;
        let program = settings.job.with_file_name(name);
        Self::start(Command::new(program).arg("--config").arg(&config).env("RUST_LOG", "error"), SERVER)
    }

    fn nginx(settings: &Settings, root: &Path) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let (config, work) = (settings.path("nginx.conf"), settings.path("nginx"));
        fs::create_dir_all(&work)?;
        let (root, work) = (text(root)?, text(&work)?);
        fs::write(
            &config,
            format!(
                "daemon off; master_process off; pid {work}/pid; error_log {work}/error.log;\n\
                 events {{ worker_connections 256; }}\n\
                 http {{ sendfile off; access_log off; client_body_temp_path {work}/a; proxy_temp_path {work}/b; fastcgi_temp_path {work}/c;\n\
                 uwsgi_temp_path {work}/d; scgi_temp_path {work}/e; server {{ listen {NGINX}; location / {{ root {root}; }} }} }}\n"
            ),
        )?;
        Self::start(Command::new("nginx").arg("-c").arg(text(&config)?).arg("-e").arg(format!("{work}/error.log")), NGINX)
    }
}

/// `GET /v1/status` of one server and the list of the other, by many clients, with many backups.
pub(super) fn requests(settings: &Settings) -> Outcome {
    for (server, path) in [("etcd-sidecar", "/v1/status"), ("etcd-backup", "/api/v1/backup")] {
        let root = settings.path(&format!("{server}-store"));
        if !root.exists() {
            backup(settings, &["seed-served", text(&root)?, server, &BACKUPS.to_string()])?;
        }
        let running = Running::server(settings, server, &root)?;
        println!("\n{server}: GET {path}, {CLIENTS} connections, {BACKUPS} backups (load {})", load());
        for _ in 0..settings.rounds {
            let before = cpu_of(running.pid());
            let output = Command::new("wrk")
                .args(["--latency", "-t2", &format!("-c{CLIENTS}"), "-d5s", &format!("http://{SERVER}{path}")])
                .output()?;
            let report = String::from_utf8_lossy(&output.stdout).into_owned();
            let line = |start: &str| report.lines().map(str::trim).find(|line| line.starts_with(start)).unwrap_or("?").to_owned();
            let cpu = (cpu_of(running.pid()) - before).as_secs_f64();
            println!("  {}, {}, {}; {} server {cpu:.1} s", line("Requests/sec"), line("50%"), line("99%"), line("Non-2xx"));
        }
        println!("  memory afterwards {:.1} MiB", resident_kib(running.pid()) as f64 / 1024.0);
    }
    Ok(())
}

/// A download, beside nginx that copies through its own memory, too, and beside `sha256sum`, since we read every byte through that.
pub(super) async fn download(settings: &Settings) -> Outcome {
    let (root, file) = big_backup(settings).await?;
    let _server = Running::server(settings, "etcd-sidecar", &root)?;
    let folder = file.parent().ok_or("the file has no directory")?;
    let _nginx = Running::nginx(settings, folder)?;
    let name = file.file_name().and_then(|name| name.to_str()).ok_or("the file has no name")?;
    let peer_url = format!("http://{NGINX}/{name}");
    let curl = |url: &str| shell(&format!("curl -sS -f -o /dev/null '{url}'"));
    let warm = || super::stored::warm(text(&file)?);
    let mib = fs::metadata(&file)?.len() >> 20;
    let ours =
        || Side { name: "ours", prepare: Box::new(warm), command: Box::new(|| curl(&format!("http://{SERVER}/v1/backup"))) };
    Race {
        name: format!("download of {mib} MiB"),
        goal: 1.0 / 0.9,
        ours: ours(),
        peer: Side { name: "nginx, sendfile off", prepare: Box::new(warm), command: Box::new(|| curl(&peer_url)) },
        server: None,
    }
    .run(settings.rounds)?;
    let file = text(&file)?;
    Race {
        name: format!("download of {mib} MiB, every byte verified"),
        goal: 1.0 / 0.9,
        ours: ours(),
        peer: Side { name: "sha256sum", prepare: Box::new(warm), command: Box::new(|| shell(&format!("sha256sum '{file}'"))) },
        server: None,
    }
    .run(settings.rounds)?;
    Ok(())
}

/// Memory of a server that does nothing, and of one with ten downloads and a backup.
pub(super) async fn memory(settings: &Settings) -> Outcome {
    let (root, _) = big_backup(settings).await?;
    let _etcd = etcd::Server::start(settings).await?;
    println!("\nmemory of etcd-sidecar (load {})", load());
    let server = Running::server(settings, "etcd-sidecar", &root)?;
    shell(&format!("curl -sS -f -o /dev/null http://{SERVER}/v1/status")).status()?;
    let idle = resident_kib(server.pid()) as f64 / 1024.0;
    println!("  idle {idle:.1} MiB, goal below 20: {}", if idle < 20.0 { "met" } else { "MISSED" });
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(shell(&format!("curl -sS -f -o /dev/null --limit-rate 60M http://{SERVER}/v1/backup")).spawn()?);
    }
    // The same revision would be skipped.
    etcd::touch().await?;
    clients.push(shell(&format!("curl -sS -f -o /dev/null http://{SERVER}/v1/backupnow")).spawn()?);
    let mut peak = 0;
    while clients.iter_mut().any(|client| matches!(client.try_wait(), Ok(None))) {
        peak = peak.max(resident_kib(server.pid()));
        std::thread::sleep(Duration::from_millis(20));
    }
    let failed = clients.into_iter().filter_map(|mut client| client.wait().ok()).filter(|status| !status.success()).count();
    println!("  ten downloads and a backup: peak {:.1} MiB, {failed} of 11 clients failed", peak as f64 / 1024.0);
    Ok(())
}

/// A store with one backup of a whole etcd, made by the server itself; and that backup's file.
async fn big_backup(settings: &Settings) -> Result<(PathBuf, PathBuf), Box<dyn Error + Send + Sync>> {
    let root = settings.path("etcd-sidecar-big");
    remove(&root)?;
    fs::create_dir_all(&root)?;
    let _etcd = etcd::Server::start(settings).await?;
    let _server = Running::server(settings, "etcd-sidecar", &root)?;
    let made = shell(&format!("curl -sS -f http://{SERVER}/v1/backupnow")).output()?;
    if !made.status.success() {
        return Err(format!("the backup failed: {}", String::from_utf8_lossy(&made.stderr)).into());
    }
    let folder = root.join("v1").join(CLUSTER);
    let file = fs::read_dir(&folder)?.next().ok_or("there is no backup")??.path();
    Ok((root, file))
}
