//! The script source keeps every promise of the contract, restoring into a command and into a file.
#![cfg(feature = "script")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backup_core::testkit::source_suite::{self, SourceFactory, TargetState, TestTarget};
use backup_core::{RestoreTarget, Source, async_trait};
use backup_sources::script::{ScriptConfig, ScriptSource};
use serde_json::json;
use tempfile::TempDir;

/// Locks what it backs up as long as it runs, and writes it in three pieces and a bit. The shell that unlocks does not heed the
/// signal that ends the writing: a signal that came while it unlocks would hit the `rmdir` otherwise.
const CAPTURE: &str = r#"
    trap '' TERM
    mkdir "$0/locked"
    (trap - TERM; exec cat "$0/data")
    status=$?
    rmdir "$0/locked"
    exit $status
"#;

/// What it is fed is good only when its input ends.
const RESTORE: &str = r#"cat > "$0/part" && mv "$0/part" "$0/whole""#;

#[derive(Clone, Copy)]
enum Into {
    Command,
    File,
}

struct Scripts {
    directory: TempDir,
    into: Into,
}

impl Scripts {
    fn new(into: Into) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("data"), data()).unwrap();
        Self { directory, into }
    }
}

fn data() -> Vec<u8> {
    (0..200_000_u32).flat_map(|n| (n % 251).to_le_bytes()).collect()
}

/// The processes that were told of a directory and still run.
fn processes(directory: &Path) -> Vec<String> {
    let directory = directory.to_str().unwrap();
    let commands = std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    let commands = commands.map(|command| String::from_utf8_lossy(&command).into_owned());
    commands.filter(|command| command.contains(directory)).collect()
}

#[async_trait]
impl SourceFactory for Scripts {
    async fn fresh(&self) -> Arc<dyn Source> {
        let mut config = ScriptConfig::new(["sh", "-c", CAPTURE, self.directory.path().to_str().unwrap()]);
        config.grace = Duration::from_secs(20);
        Arc::new(ScriptSource::new(config).unwrap())
    }

    fn deterministic(&self) -> bool {
        true
    }

    async fn fingerprint(&self) -> Option<String> {
        let directory = self.directory.path();
        let same = std::fs::read(directory.join("data")).unwrap() == data();
        let mut names: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        Some(format!("{names:?}, same: {same}, running: {:?}", processes(directory)))
    }

    async fn target(&self) -> Option<Box<dyn TestTarget>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("whole");
        Some(Box::new(Place { directory, path, into: self.into }))
    }
}

/// A directory where a whole restore appears under one name.
struct Place {
    directory: TempDir,
    path: PathBuf,
    into: Into,
}

#[async_trait]
impl TestTarget for Place {
    fn target(&self) -> RestoreTarget {
        RestoreTarget::new(match self.into {
            Into::Command => json!({ "command": ["sh", "-c", RESTORE, self.directory.path()] }),
            Into::File => json!({ "file": self.path }),
        })
    }

    async fn state(&self) -> TargetState {
        let directory = self.directory.path();
        assert_eq!(processes(directory), Vec::<String>::new(), "the restore left processes behind");
        match std::fs::read(&self.path) {
            Ok(bytes) if bytes == data() => TargetState::Good,
            Ok(_) => TargetState::Deceiving,
            Err(_) if std::fs::read_dir(directory).unwrap().next().is_some() => TargetState::Unusable,
            Err(_) => TargetState::Untouched,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_keeps_the_contract_of_a_source_restored_into_a_command() {
    source_suite::run(&Scripts::new(Into::Command)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_keeps_the_contract_of_a_source_restored_into_a_file() {
    source_suite::run(&Scripts::new(Into::File)).await;
}
