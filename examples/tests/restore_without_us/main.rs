//! The commands of `docs/restore-without-us.md`, run as they stand there on repositories that the library wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use backup_core::repository::VerifyLevel;
use backup_core::{
    ArtifactName, ArtifactOptions, BackupId, BackupRequest, Bytes, Compression, JobContext, Probe, Repository, Result, SetName,
    Sink, Source, Summary, async_trait,
};
use backup_sources::script::{ScriptConfig, ScriptSource};
use backup_stores::fs::{FsConfig, FsStore};
use tempfile::TempDir;

fn docs(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The block that starts with ```` ```sh <tag> ````.
fn block(tag: &str) -> String {
    let text = docs("restore-without-us.md");
    let start = format!("```sh {tag}\n");
    let from = text.find(&start).unwrap_or_else(|| panic!("the page has no block `{tag}`")) + start.len();
    let block = &text[from..];
    block[..block.find("```").unwrap()].to_owned()
}

/// A repository in a directory, and where its backups are restored to.
struct Place {
    root: TempDir,
    out: TempDir,
    repository: Repository,
    set: SetName,
}

impl Place {
    fn new() -> Self {
        let (root, out) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let store = FsStore::open(FsConfig::new(root.path())).unwrap();
        let repository = Repository::builder(Arc::new(store)).build();
        Self { root, out, repository, set: SetName::new("home/data").unwrap() }
    }

    async fn backup(&self, source: &dyn Source, compression: Compression) -> BackupId {
        let request = BackupRequest::new(self.set.clone()).compression(compression, None);
        self.repository.backup(&self.repository.context(), source, &request).await.unwrap().backup().id.clone()
    }

    /// Runs blocks of the page one after another in one shell; gives back what they printed.
    fn run(&self, tags: &[&str]) -> String {
        let (text, success) = self.try_run(tags);
        assert!(success, "{tags:?}:\n{text}");
        text
    }

    fn try_run(&self, tags: &[&str]) -> (String, bool) {
        let script: Vec<_> = tags.iter().map(|tag| block(tag)).collect();
        let script = format!("set -u; exec 2>&1; cd \"$REPO\"\n{}", script.join("\n"));
        let mut command = Command::new("bash");
        command.args(["-e", "-o", "pipefail", "-c", &script]);
        command.env("REPO", self.root.path()).env("SET", self.set.as_str()).env("OUT", self.out.path());
        let path = std::env::join_paths(
            std::iter::once(tools()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        );
        let output = command.env("PATH", path.unwrap()).output().unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.success())
    }

    fn manifest(&self, id: &BackupId) -> PathBuf {
        self.root.path().join(format!(".backup/sets/{}/{id}.json", self.set))
    }

    fn object(&self, id: &BackupId, name: &str) -> PathBuf {
        self.root.path().join(format!("{}/{id}/{name}", self.set))
    }
}

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(".tools")
}

/// True when all programs are there, in `.tools/` or `PATH`; else the test is skipped aloud, or fails where real ones are asked for.
fn ready(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |program: &&&str| {
        std::iter::once(tools()).chain(std::env::split_paths(&path)).any(|folder| folder.join(program).is_file())
    };
    let Some(missing) = programs.iter().find(|program| !there(program)) else { return true };
    let wanted = std::env::var_os("BACKUP_TEST_REAL").is_some_and(|value| value == "1");
    assert!(!wanted, "{missing} is missing: run tools/packages.sh test and tools/fetch-etcd.sh");
    println!("SKIPPED: {missing} is missing; tools/packages.sh test and tools/fetch-etcd.sh bring it");
    false
}

fn tar_of(directory: &Path) -> ScriptSource {
    let mut config = ScriptConfig::new(["tar", "-cf", "-", "-C", directory.to_str().unwrap(), "."]);
    config.artifact = ArtifactName::new("data.tar").unwrap();
    ScriptSource::new(config).unwrap()
}

/// A tree whose tar has three blocks.
fn tree() -> TempDir {
    let tree = TempDir::new().unwrap();
    let noise: Vec<u8> = (0..9_000_000_u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    std::fs::create_dir(tree.path().join("sub")).unwrap();
    std::fs::write(tree.path().join("sub/big file"), noise).unwrap();
    std::fs::write(tree.path().join("small"), "small\n").unwrap();
    tree
}

fn flip(path: &Path, byte: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    // The lowest bit makes no quote of what stands in an id: JSON stays JSON.
    bytes[byte] ^= 0x01;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_directory_comes_back_in_every_compression() {
    if !ready(&["jq", "zstd"]) {
        return;
    }
    let tree = tree();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let place = Place::new();
        let older = place.backup(&tar_of(tree.path()), Compression::None).await;
        let id = place.backup(&tar_of(tree.path()), compression).await;
        let listed = place.run(&["sets", "list", "bad", "newest"]);
        assert!(listed.starts_with("home/data\n") && listed.contains(older.as_str()), "{listed}");
        assert!(listed.contains(&format!("\"id\": \"{id}\"")) && listed.contains("none was found damaged"), "{listed}");
        let checked = place.run(&["newest", "manifest", "objects", "blocks", "decompress", "tar"]);
        for word in ["manifest: OK", "all blocks: OK"] {
            assert!(checked.contains(word), "{checked}");
        }
        assert_eq!(checked.matches(": OK").count(), 4, "{checked}");
        let status = Command::new("diff").arg("-r").arg(tree.path()).arg(place.out.path().join("files")).status().unwrap();
        assert!(status.success(), "{compression:?} differs");
    }
}

#[tokio::test]
async fn damage_is_found_in_the_block_where_it_is() {
    if !ready(&["jq", "zstd"]) {
        return;
    }
    let (tree, place) = (tree(), Place::new());
    let id = place.backup(&tar_of(tree.path()), Compression::None).await;
    flip(&place.object(&id, "data.tar"), 5_000_000);
    let (text, success) = place.try_run(&["newest", "objects"]);
    assert!(!success && text.contains("data.tar: FAILED"), "{text}");
    let text = place.run(&["newest", "manifest", "blocks"]);
    assert!(text.contains("manifest: OK") && text.contains("\n2c2\n") && !text.contains("all blocks: OK"), "{text}");
    let cx = place.repository.context();
    assert!(!place.repository.verify(&cx, &place.set, &id, VerifyLevel::Digest, None).await.unwrap().is_good());
    assert!(place.run(&["bad"]).contains(id.as_str()));
}

#[tokio::test]
async fn a_damaged_manifest_is_found_and_its_objects_are_judged_without_it() {
    if !ready(&["jq", "zstd"]) {
        return;
    }
    let (tree, place) = (tree(), Place::new());
    let id = place.backup(&tar_of(tree.path()), Compression::Gzip).await;
    let manifest = place.manifest(&id);
    // Within the value of `job`: the JSON still parses.
    let job = std::fs::read_to_string(&manifest).unwrap().find("\"job\": \"").unwrap() + 9;
    flip(&manifest, job);
    let text = place.run(&["newest", "manifest", "objects", "salvage"]);
    assert!(text.contains("manifest: DAMAGED") && text.contains("data.tar.gz: OK"), "{text}");
    // Now it does not.
    flip(&manifest, 0);
    let text = place.run(&["list"]);
    assert!(text.contains(&format!("DAMAGED: .backup/sets/home/data/{id}.json")), "{text}");
}

#[tokio::test]
async fn an_inventory_is_checked_before_what_it_lists() {
    if !ready(&["jq", "zstd"]) {
        return;
    }
    let place = Place::new();
    let id = place.backup(&Many, Compression::None).await;
    let checked = place.run(&["newest", "manifest", "objects"]);
    assert!(checked.contains("manifest: OK") && checked.contains(".inventory.jsonl: OK"), "{checked}");
    flip(&place.object(&id, "part/0700"), 0);
    let (text, success) = place.try_run(&["newest", "objects"]);
    assert!(!success && text.contains("part/0700: FAILED"), "{text}");
}

#[derive(Debug)]
struct Many;

#[async_trait]
impl Source for Many {
    fn kind(&self) -> &str {
        "many"
    }

    async fn probe(&self, _: &JobContext) -> Result<Probe> {
        Ok(Probe::default())
    }

    async fn capture(&self, _: &JobContext, sink: &dyn Sink) -> Result<Summary> {
        for n in 0..1001 {
            let mut writer = sink.artifact(&ArtifactName::new(format!("part/{n:04}"))?, ArtifactOptions::default()).await?;
            writer.write(Bytes::from(n.to_string())).await?;
            writer.close().await?;
        }
        Ok(Summary::default())
    }
}

#[cfg(feature = "demo-etcd")]
mod etcd;
