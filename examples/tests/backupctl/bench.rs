//! A repository in a temporary directory, and the program run over it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use backup_core::source::{ArtifactOptions, Probe, Sink, Source, Summary};
use backup_core::{
    ArtifactName, BackupId, BackupRequest, Bytes, Compression, JobContext, Repository, Result, Revision, SetName, async_trait,
};
use backup_stores::fs::{FsConfig, FsStore};
use serde_json::Value;
use tempfile::TempDir;

/// Artifacts with these names and contents.
#[derive(Debug)]
pub(crate) struct Files(pub(crate) Vec<(&'static str, Vec<u8>)>);

#[async_trait]
impl Source for Files {
    fn kind(&self) -> &str {
        "files"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default().version("1.2.3"))
    }

    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        for (name, content) in &self.0 {
            let mut writer = sink.artifact(&ArtifactName::new(*name)?, ArtifactOptions::default()).await?;
            writer.write(Bytes::from(content.clone())).await?;
            writer.close().await?;
        }
        Ok(Summary::default().revision(Revision::exact(7)))
    }
}

pub(crate) struct Bench {
    pub(crate) directory: TempDir,
    pub(crate) root: PathBuf,
    pub(crate) repository: Repository,
}

pub(crate) fn set(name: &str) -> SetName {
    SetName::new(name).unwrap()
}

impl Bench {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("backups");
        let store = FsStore::open(FsConfig::new(&root)).unwrap();
        Self { directory, root, repository: Repository::builder(Arc::new(store)).build() }
    }

    pub(crate) async fn back_up(&self, name: &str, compression: Compression, files: &[(&'static str, &[u8])]) -> BackupId {
        let source = Files(files.iter().map(|(name, content)| (*name, content.to_vec())).collect());
        let request = BackupRequest::new(set(name)).compression(compression, None);
        let cx = self.repository.context();
        self.repository.backup(&cx, &source, &request).await.unwrap().backup().id.clone()
    }

    /// `count` uncompressed backups of one artifact each.
    pub(crate) async fn back_up_often(&self, name: &str, count: usize) -> Vec<BackupId> {
        let mut ids = Vec::new();
        for number in 0..count {
            ids.push(self.back_up(name, Compression::None, &[("data", format!("content {number}").as_bytes())]).await);
        }
        ids
    }

    pub(crate) fn store(&self) -> String {
        format!("fs://{}", self.root.display())
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backupctl"));
        command.arg("--store").arg(self.store()).args(arguments).stdin(Stdio::null()).current_dir(self.directory.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).output().unwrap())
    }

    /// The object that holds an artifact, as a file.
    pub(crate) fn object(&self, name: &str, id: &BackupId, artifact: &str) -> PathBuf {
        self.root.join(name).join(id.as_str()).join(artifact)
    }

    pub(crate) fn flip_a_bit(&self, name: &str, id: &BackupId, artifact: &str) {
        let path = self.object(name, id, artifact);
        let mut content = std::fs::read(&path).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        std::fs::write(&path, content).unwrap();
    }

    /// Every file of the repository with its content.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        tree(&self.root)
    }
}

pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => pending.push(entry.path()),
                false => drop(found.insert(entry.path(), std::fs::read(entry.path()).unwrap())),
            }
        }
    }
    found
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) said: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let said = String::from_utf8(output.stderr).unwrap();
        Self { code: output.status.code().expect("it was killed"), out: output.stdout, said }
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.text(), self.said);
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// The keys of a JSON object, sorted.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}
