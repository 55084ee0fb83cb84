//! Runs our side and the peer in turns and prints a table of figures.

mod agent;
mod cinder;
mod data;
mod etcd;
mod http;
mod memory;
mod race;
mod remote;
mod running;
mod stored;
mod stores;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use race::{Race, Side};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
usage: compare [--mib N] [--rounds N] [CASE…]
cases: etcd-raw etcd-tar gzip gzip-json gzip-tar verify memory manifests http-requests http-download http-memory s3 nfs swift agent cinder; all when none is named
  --mib N     size of the data, 1024 by default
  --rounds N  how often each side runs, 3 by default
environment: ETCD, ETCDCTL (programs; PATH by default), BENCH_DIR (default target/bench-data; kept between runs)";

const CASES: [&str; 16] = [
    "etcd-raw",
    "etcd-tar",
    "gzip",
    "gzip-json",
    "gzip-tar",
    "verify",
    "memory",
    "manifests",
    "http-requests",
    "http-download",
    "http-memory",
    "s3",
    "nfs",
    "swift",
    "agent",
    "cinder",
];

/// What all cases share.
#[derive(Debug)]
struct Settings {
    mib: u64,
    rounds: usize,
    cases: Vec<String>,
    /// Where data and backups go.
    directory: PathBuf,
    /// Our side.
    job: PathBuf,
}

/// Runs the cases that the command line names.
///
/// # Errors
/// The first that stopped a case: a program that is missing, or that failed.
pub async fn main() -> Outcome {
    let settings = Settings::read(std::env::args().skip(1))?;
    println!(
        "{} MiB, {} rounds each in turns; times in seconds: min/median/max; `others`: what other processes used of the processors",
        settings.mib, settings.rounds
    );
    for case in &settings.cases {
        match case.as_str() {
            "etcd-raw" => etcd::raw(&settings).await?,
            "etcd-tar" => etcd::tar(&settings).await?,
            "gzip" => stored::gzip(&settings, "mixed", settings.mib)?,
            "gzip-json" => stored::gzip(&settings, "json", settings.mib / 4)?,
            "gzip-tar" => stored::gzip(&settings, "tar", settings.mib / 4)?,
            "verify" => stored::verify(&settings)?,
            "memory" => memory::memory(&settings)?,
            "http-requests" => http::requests(&settings)?,
            "http-download" => http::download(&settings).await?,
            "http-memory" => http::memory(&settings).await?,
            "s3" => stores::s3(&settings)?,
            "nfs" => stores::nfs(&settings)?,
            "swift" => stores::swift(&settings)?,
            "agent" => agent::upload(&settings)?,
            "cinder" => cinder::cinder(&settings)?,
            _ => memory::manifests(&settings)?,
        }
    }
    Ok(())
}

impl Settings {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let program = std::env::current_exe()?;
        let directory = std::env::var_os("BENCH_DIR").map_or_else(|| PathBuf::from("target/bench-data"), PathBuf::from);
        fs::create_dir_all(&directory)?;
        let directory = directory.canonicalize()?;
        let mut settings = Self { mib: 1024, rounds: 3, cases: Vec::new(), directory, job: program.with_file_name("job") };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--mib" => settings.mib = arguments.next().ok_or(USAGE)?.parse()?,
                "--rounds" => settings.rounds = arguments.next().ok_or(USAGE)?.parse::<usize>()?.max(1),
                case if CASES.contains(&case) => settings.cases.push(argument),
                _ => return Err(USAGE.into()),
            }
        }
        if settings.cases.is_empty() {
            settings.cases = CASES.map(str::to_owned).to_vec();
        }
        if !settings.job.exists() {
            return Err(format!(
                "{} is missing: build it with `cargo build --release -p backup-benches`",
                settings.job.display()
            )
            .into());
        }
        Ok(settings)
    }

    /// A directory that is empty, and the command that backs up into it.
    fn job(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.job);
        command.args(arguments);
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Removes a file or a directory that may not be there.
fn remove(path: &Path) -> Outcome {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn text(path: &Path) -> Result<&str, Box<dyn Error + Send + Sync>> {
    path.to_str().ok_or_else(|| format!("{} is no UTF-8", path.display()).into())
}
