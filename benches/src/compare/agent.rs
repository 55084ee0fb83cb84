//! The backup agent: a whole job over HTTP, scripts included, beside a plain upload of the same file.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::running::Running;
use super::stored::{shell, warm};
use super::{Outcome, Race, Settings, Side, data, remove, stores, text};
use crate::proc::{cpu_of, peak_kib_of};

const AGENT: &str = "127.0.0.1:18113";

/// Against `rclone`, both to `s3s-fs`. Ours hashes the file before it is sent, and runs five scripts; one of them links the file into the job's
/// directory.
pub(super) fn upload(settings: &Settings) -> Outcome {
    let file = data::file(settings, "mixed", settings.mib)?;
    let (root, home) = (settings.path("s3"), settings.path("agent"));
    let server = stores::s3s(&root)?;
    let agent = agent(settings, &home, text(&file)?)?;
    let file = text(&file)?;
    let (job, home_text) = (home.join("job.sh"), text(&home)?);
    fs::write(&job, client())?;
    let job = text(&job)?.to_owned();
    let with = |mut command: Command| {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home_text);
        command.envs(stores::rclone());
        command
    };
    Race {
        name: format!("backup of {} MiB by the agent to s3s-fs", settings.mib),
        goal: 0.8,
        ours: Side {
            name: "backup-agent",
            prepare: Box::new(|| warm(file)),
            command: Box::new(|| with(shell(&format!("bash '{job}'")))),
        },
        peer: Side {
            name: "rclone",
            prepare: Box::new(|| warm(file)),
            command: Box::new(|| with(shell(&format!("rclone copyto --no-check-dest '{file}' bench:bench/theirs")))),
        },
        server: Some(server.pid()),
    }
    .run(settings.rounds)?;
    let processor = cpu_of(agent.pid()).as_secs_f64();
    println!(
        "  the agent: {processor:.1} s of processor in all rounds, {:.1} MiB at most",
        peak_kib_of(agent.pid()) as f64 / 1024.0
    );
    drop((agent, server));
    remove(&home)?;
    remove(&root)
}

/// A running agent with its scripts.
fn agent(settings: &Settings, home: &Path, file: &str) -> Result<Running, Box<dyn Error + Send + Sync>> {
    remove(home)?;
    let scripts = home.join("scripts");
    fs::create_dir_all(&scripts)?;
    for stage in ["pre-backup-lock", "pre-backup-check", "backup", "backup-cleanup", "post-backup-unlock"] {
        let what = match stage {
            "backup" => format!("ln '{file}' '{}'/backup/\"$6\"/data", text(home)?),
            "backup-cleanup" => format!("rm -r '{}'/backup/\"$2\"", text(home)?),
            _ => ":".to_owned(),
        };
        fs::write(scripts.join(stage), what)?;
    }
    let (host, port) = AGENT.split_once(':').ok_or("no port")?;
    let path = |name: &str| -> PathBuf { home.join(name) };
    let mut command = Command::new(settings.job.with_file_name("backup-agent"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("RUST_LOG", "error");
    command.envs([("client_username", "bench"), ("client_password", "bench"), ("client_address", host), ("client_port", port)]);
    command.envs([
        ("directory_backup", path("backup")),
        ("directory_restore", path("restore")),
        ("scripts_path", scripts),
        ("state_path", path("state.redb")),
    ]);
    Running::start(command.env("allow_overwrite", "true"), AGENT)
}

/// A client that starts a job, polls until it has ended well, and forgets it.
fn client() -> String {
    let body = json!({
        "id": "bench", "compression": false, "encryption_key": "none",
        "destination": {
            "type": "S3", "bucket": "bench", "endpoint": format!("http://{}", stores::S3), "authKey": stores::KEY,
            "authSecret": stores::SECRET, "filenamePrefix": "ours-",
        },
        "backup": { "host": "h", "username": "u", "password": "p", "database": "d" },
    });
    format!(
        "set -euo pipefail\n\
         ask() {{ curl -sf -u bench:bench \"$@\" http://{AGENT}/backup\"${{path:-}}\"; }}\n\
         ask -XPOST -d '{body}'\n\
         until job=$(path=/bench ask); [[ $job != *'\"RUNNING\"'* ]]; do sleep 0.02; done\n\
         [[ $job == *'\"SUCCEEDED\"'* ]] || {{ echo \"$job\" >&2; exit 1; }}\n\
         ask -XDELETE -d '{{\"id\": \"bench\"}}'\n"
    )
}
