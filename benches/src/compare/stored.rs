//! Cases over a local file: compression against `pigz`, verify against `sha256sum`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::race::{Report, spread};
use super::{Outcome, Race, Settings, Side, data, remove, text};

/// Compresses a file, and compares time and size with `pigz -6`.
pub(super) fn gzip(settings: &Settings, kind: &str, mib: u64) -> Outcome {
    let file = data::file(settings, kind, mib)?;
    let (root, packed) = (settings.path("gzip-store"), settings.path("pigz.gz"));
    let (file, store, packed_name) = (text(&file)?, text(&root)?, text(&packed)?);
    let warm = || -> Outcome { warm(file) };
    let reports = Race {
        name: format!("gzip of {mib} MiB, {kind}"),
        goal: 0.5,
        ours: Side {
            name: "ours",
            prepare: Box::new(|| remove(&root).and_then(|()| warm())),
            command: Box::new(|| settings.job(&["backup-file", store, "gzip", file])),
        },
        peer: Side {
            name: "pigz -6 and fsync",
            prepare: Box::new(|| remove(&packed).and_then(|()| warm())),
            command: Box::new(|| shell(&format!("pigz -6 -c '{file}' > '{packed_name}' && sync '{packed_name}'"))),
        },
        server: None,
    }
    .run(settings.rounds)?;
    let ours = reports.first().and_then(|report| report.get("stored")?.as_f64()).unwrap_or(f64::NAN);
    let peer = fs::metadata(&packed)?.len() as f64;
    println!("  size {ours} and {peer}: {:+.2} %, goal at most +2 %", (ours / peer - 1.0) * 100.0);
    remove(&root)?;
    remove(&packed)
}

/// Verifies an uncompressed backup, and compares with `sha256sum` of its file.
pub(super) fn verify(settings: &Settings) -> Outcome {
    let file = data::file(settings, "mixed", settings.mib)?;
    let root = settings.path("verify-store");
    remove(&root)?;
    let (file, store) = (text(&file)?, text(&root)?);
    let stored = backup(settings, &["backup-file", store, "none", file])?;
    let stored = root.join(stored.get("key").and_then(|key| key.as_str()).ok_or("the backup has no artifact")?);
    let stored = text(&stored)?;
    let reports = Race {
        name: format!("verify of {} MiB", settings.mib),
        goal: 0.6,
        ours: Side { name: "ours", prepare: Box::new(|| warm(stored)), command: Box::new(|| settings.job(&["verify", store])) },
        peer: Side {
            name: "sha256sum",
            prepare: Box::new(|| warm(stored)),
            command: Box::new(|| {
                let mut command = Command::new("sha256sum");
                command.arg(stored);
                command
            }),
        },
        server: None,
    }
    .run(settings.rounds)?;
    if reports.iter().any(|report| report.get("good") != Some(&true.into())) {
        return Err("a verify found damage".into());
    }
    remove(&root)
}

/// One backup that is not measured; hands out what it reported.
pub(super) fn backup(settings: &Settings, arguments: &[&str]) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let output = settings.job(arguments).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Brings a file into the page cache.
pub(super) fn warm(file: &str) -> Outcome {
    std::io::copy(&mut fs::File::open(PathBuf::from(file))?, &mut std::io::sink())?;
    Ok(())
}

/// A line of shell: the peer's side needs more than one program.
pub(super) fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-ec", line]);
    command
}

/// The numbers below a key of each report, in MiB.
pub(super) fn mebibytes(reports: &[Report], key: &str) -> (f64, f64, f64) {
    let of = |report: &Report| report.get(key).and_then(|value| value.as_f64()).unwrap_or(f64::NAN) / 1024.0;
    spread(reports.iter().map(of).collect())
}
