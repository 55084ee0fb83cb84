//! A store, as a configuration says it and as its own client sees it.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A running store.
pub(crate) trait Remote {
    /// What stands behind `store:` in a configuration, with everything below `prefix`.
    fn block(&self, prefix: &str) -> String;

    /// Whether its keys have a level for the namespace of the sidecar's cluster.
    fn is_bucket(&self) -> bool;

    /// Fetches an object into a file with the store's own client.
    fn fetch(&self, prefix: &str, key: &str, file: &Path);

    /// What no output may hold.
    fn secrets(&self) -> Vec<String>;
}

/// A plain directory.
pub(crate) struct Directory(TempDir);

impl Directory {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

impl Remote for Directory {
    fn block(&self, prefix: &str) -> String {
        format!("{{ fs: {{ root: {} }} }}", self.0.path().join(prefix).display())
    }

    fn is_bucket(&self) -> bool {
        false
    }

    fn fetch(&self, prefix: &str, key: &str, file: &Path) {
        std::fs::copy(self.0.path().join(prefix).join(key), file).unwrap();
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Runs a program that has to succeed; gives what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `backupctl` over the configuration in `home`; its answer for programs.
pub(crate) fn backupctl(home: &Path, remote: &dyn Remote, arguments: &[&str]) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backupctl"));
    command.env_clear().arg("--config").arg(home.join("config.yaml")).args(["--json", "--yes"]).args(arguments);
    let output = command.current_dir(home).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}");
    assert!(remote.secrets().iter().all(|secret| !said.contains(secret)), "a secret in: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}
