//! The remote stores, each on a server of its own.

use std::path::PathBuf;
use std::process::Command;

use super::remote::Remote;
use super::running::Running;
use super::{Outcome, Settings, remove};

#[path = "../../../backup-stores/tests/support/ganesha.rs"]
mod ganesha;

const S3: &str = "127.0.0.1:18112";

/// A program that the tools of this project put in place.
fn tool(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(".tools").join(name), PathBuf::from)
}

/// Against `rclone`, both on `s3s-fs`.
pub(super) fn s3(settings: &Settings) -> Outcome {
    let root = settings.path("s3");
    remove(&root)?;
    std::fs::create_dir_all(root.join("bench"))?;
    let mut server = Command::new(tool("S3S_FS", "s3s-fs"));
    let (host, port) = S3.split_once(':').ok_or("no port")?;
    server.args(["--host", host, "--port", port, "--access-key", "bench", "--secret-key", "bench-secret"]).arg(&root);
    let server = Running::start(&mut server, S3)?;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Remote {
        name: "s3s-fs",
        url: Box::new(|path| format!("s3://bench/{path}?endpoint=http://{S3}&region=us-east-1&path-style=true")),
        environment: vec![
            pair("AWS_ACCESS_KEY_ID", "bench"),
            pair("AWS_SECRET_ACCESS_KEY", "bench-secret"),
            pair("RCLONE_CONFIG_BENCH_TYPE", "s3"),
            pair("RCLONE_CONFIG_BENCH_PROVIDER", "Other"),
            pair("RCLONE_CONFIG_BENCH_ENDPOINT", &format!("http://{S3}")),
            pair("RCLONE_CONFIG_BENCH_REGION", "us-east-1"),
            pair("RCLONE_CONFIG_BENCH_ACCESS_KEY_ID", "bench"),
            pair("RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY", "bench-secret"),
        ],
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
