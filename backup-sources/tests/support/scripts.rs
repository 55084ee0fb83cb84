//! A directory of scripts for tests: every stage has one that says in a file that it ran.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backup_core::{JobContext, Result, Summary};
use backup_sources::script::{Operation, Plan, Request, Stage, StagedConfig, StagedSource, Watch};
use tempfile::TempDir;

use super::RecordingSink;

/// What a `backup` script of the examples below leaves behind.
pub const DATA: &[u8] = b"the data of the database\n";

pub struct Scripts {
    directory: PathBuf,
    _owned: Option<TempDir>,
    pub watch: Watch,
}

impl Scripts {
    pub fn new() -> Self {
        let owned = tempfile::tempdir().unwrap();
        let scripts = Self { directory: owned.path().to_owned(), _owned: Some(owned), watch: Watch::new() };
        std::fs::create_dir(scripts.path("scripts")).unwrap();
        for stage in [Operation::Backup, Operation::Restore].into_iter().flat_map(Stage::of) {
            scripts.put(*stage, "");
        }
        scripts.put(Stage::Backup, r#"printf 'the data of the database\n' > "$JOBS/$6/$5.dump""#);
        scripts.put(Stage::Restore, r#"cat "$JOBS/$6/$5" > "$ROOT/restored""#);
        scripts
    }

    /// Those that another process made.
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), _owned: None, watch: Watch::new() }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The plan of a job that runs them, as a caller makes it that does not go through the source.
    pub fn plan(&self, id: &str, operation: Operation) -> Plan {
        let mut request = Request::new(id, "localhost", "someone", "pass-word".into(), "app", "name");
        for name in ["ROOT", "JOBS"] {
            let value = if name == "ROOT" { self.directory.clone() } else { self.path("jobs") };
            request.parameters.insert(name, value.to_str().unwrap(), &[]).unwrap();
        }
        let mut plan = request.plan(operation, &self.path("scripts"));
        plan.state_directory = Some(self.path("state"));
        plan.grace = Duration::from_millis(300);
        plan
    }

    /// Writes the script of a stage. It says that it ran, and then does `body`.
    pub fn put(&self, stage: Stage, body: &str) {
        std::fs::write(self.path("scripts").join(stage.name()), format!("echo {stage} >> \"$ROOT/trace\"\n{body}\n")).unwrap();
    }

    /// The stages that ran, in order.
    pub fn trace(&self) -> Vec<String> {
        let trace = std::fs::read_to_string(self.path("trace")).unwrap_or_default();
        trace.lines().map(str::to_owned).collect()
    }

    pub fn config(&self) -> StagedConfig {
        let mut config = StagedConfig::new(self.path("scripts"), self.path("jobs"), self.path("state"), "app");
        config.host = "localhost".into();
        config.username = "someone".into();
        config.password = "pass-word".into();
        config.grace = Duration::from_millis(300);
        config.parameters.insert("ROOT".into(), self.directory.to_str().unwrap().into());
        config.parameters.insert("JOBS".into(), self.path("jobs").to_str().unwrap().into());
        config
    }

    pub fn source(&self) -> StagedSource {
        self.source_of(self.config())
    }

    pub fn source_of(&self, config: StagedConfig) -> StagedSource {
        StagedSource::new(config).unwrap().watched(self.watch.clone())
    }

    pub async fn capture(&self, cx: &JobContext, sink: &RecordingSink) -> Result<Summary> {
        use backup_core::Source;
        self.source().capture(cx, sink).await
    }

    /// Nothing is left of any job.
    pub fn assert_clean(&self) {
        for directory in ["jobs", "state"] {
            assert_eq!(entries(&self.path(directory)), Vec::<String>::new(), "left in {directory}");
        }
        assert_eq!(self.processes(), Vec::<String>::new(), "left running");
    }

    /// The processes that were told of this directory and still run.
    pub fn processes(&self) -> Vec<String> {
        let directory = self.directory.to_str().unwrap();
        let of = |entry: std::fs::DirEntry| {
            let told = ["cmdline", "environ"].iter().any(|what| {
                std::fs::read(entry.path().join(what)).is_ok_and(|text| String::from_utf8_lossy(&text).contains(directory))
            });
            let own = entry.file_name().to_str() == Some(&std::process::id().to_string());
            (told && !own).then(|| std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default())
        };
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| of(entry.ok()?)).filter(|stat| !stat.is_empty()).collect()
    }
}

pub fn entries(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Waits until `condition` holds; the test's own limit ends a wait in vain.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
