//! The remote stores, each on a server of its own.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::remote::Remote;
use super::running::Running;
use super::{Outcome, Settings, remove};

#[path = "../../../backup-stores/tests/support/ganesha.rs"]
mod ganesha;

pub(super) const S3: &str = "127.0.0.1:18112";
pub(super) const KEY: &str = "bench";
pub(super) const SECRET: &str = "bench-secret";

/// A program that the tools of this project put in place.
fn tool(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(".tools").join(name), PathBuf::from)
}

/// `s3s-fs` over an empty directory with a bucket `bench`.
pub(super) fn s3s(root: &Path) -> Result<Running, Box<dyn Error + Send + Sync>> {
    remove(root)?;
    std::fs::create_dir_all(root.join("bench"))?;
    let mut server = Command::new(tool("S3S_FS", "s3s-fs"));
    let (host, port) = S3.split_once(':').ok_or("no port")?;
    server.args(["--host", host, "--port", port, "--access-key", KEY, "--secret-key", SECRET]).arg(root);
    Running::start(&mut server, S3)
}

/// What tells `rclone` of it, as the remote `bench`.
pub(super) fn rclone() -> Vec<(String, String)> {
    let settings = [
        ("TYPE", "s3"),
        ("PROVIDER", "Other"),
        ("ENDPOINT", &format!("http://{S3}")),
        ("REGION", "us-east-1"),
        ("ACCESS_KEY_ID", KEY),
        ("SECRET_ACCESS_KEY", SECRET),
    ];
    settings.map(|(name, value)| (format!("RCLONE_CONFIG_BENCH_{name}"), value.to_owned())).to_vec()
}

/// Against `rclone`, both on `s3s-fs`.
pub(super) fn s3(settings: &Settings) -> Outcome {
    let root = settings.path("s3");
    let server = s3s(&root)?;
    let ours = [("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    Remote {
        name: "s3s-fs",
        url: Box::new(|path| format!("s3://bench/{path}?endpoint=http://{S3}&region=us-east-1&path-style=true")),
        environment: ours.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(rclone()).collect(),
        client: "rclone",
        upload: Box::new(|file| format!("rclone copyto --no-check-dest '{file}' bench:bench/theirs")),
        download: Box::new(|file| format!("rclone copyto bench:bench/theirs '{file}'")),
        goal: 0.8,
        server: Some(server.pid()),
    }
    .transfers(settings)?;
    drop(server);
    remove(&root)
}

/// Against `nfs-cp`, both on nfs-ganesha.
pub(super) fn nfs(settings: &Settings) -> Outcome {
    if !ganesha::wanted() {
        return Err("nfs-ganesha cannot be started here".into());
    }
    let export = settings.path("nfs");
    remove(&export)?;
    let server = ganesha::Ganesha::with(ganesha::Setup { export: Some(export.clone()), ..ganesha::Setup::default() });
    let theirs = server.libnfs_url("theirs");
    Remote {
        name: "nfs-ganesha",
        url: Box::new(|path| server.config(path).to_string()),
        environment: Vec::new(),
        client: "nfs-cp",
        // It replaces nothing.
        upload: Box::new(|file| format!("rm -f '{}/theirs' && nfs-cp '{file}' '{theirs}'", export.display())),
        download: Box::new(|file| format!("nfs-cp '{theirs}' '{file}'")),
        goal: 1.0,
        server: None,
    }
    .transfers(settings)?;
    drop(server);
    remove(&export)
}

/// Against Swift's own client, both on the Swift that `tools/openstack.sh up` started.
pub(super) fn swift(settings: &Settings) -> Outcome {
    let base = std::env::var_os("OS_BASE").map_or_else(|| PathBuf::from("target/openstack"), PathBuf::from);
    let who = std::fs::read_to_string(base.join("env")).map_err(|error| format!("run tools/openstack.sh up: {error}"))?;
    let who = who.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let container = format!("bench-{}", std::process::id());
    Remote {
        name: "Swift",
        url: Box::new(|path| format!("swift://{container}/{path}")),
        environment: who.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        client: "swift",
        // Segments as big as ours.
        upload: Box::new(|file| {
            format!("swift -q upload --use-slo --segment-size 14680064 --object-name theirs '{container}' '{file}'")
        }),
        download: Box::new(|file| format!("swift -q download '{container}' theirs --output '{file}'")),
        goal: 1.0,
        server: None,
    }
    .transfers(settings)
}
