//! A directory: `tar` writes it, the library stores it, `tar` reads it back, and every file is compared.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use backup_core::repository::VerifyLevel;
use backup_core::{
    ArtifactName, BackupOutcome, BackupRequest, Compression, Digest, Error, JobContext, RestoreTarget, SetName, error::codes,
};
use backup_sources::script::{ScriptConfig, ScriptSource};

use super::failure::Failure;
use super::scratch::Scratch;
use super::session::{BACKUPS, Session};
use super::text;
use super::tree::Tree;

/// The steps, in order. `path` is only read.
pub(super) async fn run(session: &Session, path: &Path) -> Result<(), Failure> {
    let directory = existing(path)?;
    let name = plain_name(&directory);
    let set = SetName::new(format!("directory/{name}-{}", short_digest(&directory)))?;
    let scratch = Scratch::new()?;
    let repository = session.repository()?;
    let without = inside(&directory, &[Path::new(BACKUPS), scratch.path()])?;
    let source = ScriptSource::new(tar(&directory, &name, &without)?)?;
    session.ui.line(&format!("\nBacking up {} into {BACKUPS}, and proving it\n", directory.display()));

    let cx = repository.context();
    let original = in_background(&cx, {
        let directory = directory.clone();
        move |cx| Tree::read(&directory, &without, cx)
    });
    let (original, step) = session.job("Look", &cx, original).await?;
    let counts = original.counts();
    step.done(&format!(
        "{}, {}, {}, {}",
        text::count(counts.files, "file", "files"),
        text::count(counts.directories, "directory", "directories"),
        text::count(counts.links, "link", "links"),
        text::size(counts.bytes)
    ));

    let cx = repository.context();
    cx.progress().expect(original.tar_size());
    let request = BackupRequest::new(set.clone()).compression(Compression::Gzip, None);
    let (outcome, step) = session.job("Back up", &cx, repository.backup(&cx, &source, &request)).await?;
    let backup = outcome.backup();
    step.done(&format!("{}, stored as {} of tar.gz", backup.id, text::size(backup.stored_size)));
    if let BackupOutcome::CompletedWithWarnings(_, warnings) = &outcome {
        session.ui.warnings(warnings);
    }

    let cx = repository.context();
    let verify = repository.verify(&cx, &set, &backup.id, VerifyLevel::Restorable, Some(&source));
    let (report, step) = session.job("Verify", &cx, verify).await?;
    if let Some(finding) = report.record.findings.first() {
        step.failed();
        return Err(Failure::new(format!("the backup is damaged: {}", finding.text)));
    }
    step.done("every stored byte has its digest and unpacks to what tar wrote");

    let restored = scratch.path().join("restored");
    std::fs::create_dir(&restored)?;
    let cx = repository.context();
    let target = untar(&restored)?;
    let (_, step) = session.job("Restore", &cx, repository.restore(&cx, &source, &set, &backup.id, &target)).await?;
    step.done("into a temporary directory");

    let cx = repository.context();
    let compared = in_background(&cx, move |cx| original.differences(&restored, cx));
    let (differences, step) = session.job("Compare", &cx, compared).await?;
    if !differences.is_empty() {
        step.failed();
        return Err(different(&differences));
    }
    step.done("all equal: names, modes, links, sizes, every byte");

    let stored = backup.first_key.as_ref().map_or_else(|| BACKUPS.to_owned(), |key| format!("{BACKUPS}/{key}"));
    session.ui.line(&format!(
        "
The backup is a plain file:
  {stored}

Without this software it comes back with
  mkdir restored
  tar -xpzf {stored} \\
      -C restored
"
    ));
    Ok(())
}

fn existing(path: &Path) -> Result<PathBuf, Failure> {
    let shown = path.display();
    let directory = path.canonicalize().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::usage(format!("{shown} does not exist")),
        _ => Failure::usage(format!("{shown}: {error}")),
    })?;
    if !directory.is_dir() {
        return Err(Failure::usage(format!("{shown} is not a directory")));
    }
    if Path::new(BACKUPS).canonicalize().is_ok_and(|backups| directory.starts_with(backups)) {
        return Err(Failure::usage(format!("{shown} is where the backups go; choose another directory")));
    }
    Ok(directory)
}

/// The directory's own name, with what a set's name cannot hold replaced.
fn plain_name(directory: &Path) -> String {
    let name = directory.file_name().map_or_else(|| "root".to_owned(), |name| name.to_string_lossy().into_owned());
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    let name: String = name.chars().map(|letter| if legal(letter) { letter } else { '_' }).take(60).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "directory".to_owned() } else { name.to_owned() }
}

/// Two directories of the same name are two sets.
fn short_digest(directory: &Path) -> String {
    Digest::of(directory.as_os_str().as_encoded_bytes()).to_string().chars().take(8).collect()
}

/// Those of `ours` that lie in the directory, as paths from there: a backup does not hold itself.
fn inside(directory: &Path, ours: &[&Path]) -> std::io::Result<Vec<PathBuf>> {
    let mut inside = Vec::new();
    for path in ours {
        if let Ok(path) = path.canonicalize()?.strip_prefix(directory) {
            inside.push(path.to_owned());
        }
    }
    Ok(inside)
}

fn tar(directory: &Path, name: &str, without: &[PathBuf]) -> Result<ScriptConfig, Failure> {
    let mut command = vec!["tar".to_owned()];
    if !without.is_empty() {
        command.extend(["--anchored".to_owned(), "--no-wildcards".to_owned()]);
    }
    for path in without {
        command.push(format!("--exclude=./{}", utf8(path)?));
    }
    command.extend(["-cf", "-", "-C", utf8(directory)?, "."].map(str::to_owned));
    let mut config = ScriptConfig::new(command);
    config.artifact = ArtifactName::new(format!("{name}.tar"))?;
    Ok(config)
}

fn untar(into: &Path) -> Result<RestoreTarget, Failure> {
    let value = serde_json::json!({ "command": ["tar", "-xpf", "-", "-C", utf8(into)?] });
    Ok(RestoreTarget::new(value))
}

fn utf8(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| Failure::usage(format!("{} is not valid UTF-8, which a command line here needs", path.display())))
}

/// Work that reads files, beside the tasks of the runtime.
async fn in_background<T: Send + 'static>(
    cx: &JobContext,
    work: impl FnOnce(&JobContext) -> backup_core::Result<T> + Send + 'static,
) -> backup_core::Result<T> {
    let cx = cx.clone();
    tokio::task::spawn_blocking(move || work(&cx))
        .await
        .unwrap_or_else(|error| Err(Error::new(&codes::INTERNAL, error.to_string())))
}

fn different(differences: &[String]) -> Failure {
    const SHOWN: usize = 10;
    let mut what = format!("what came back differs in {}:", text::count(differences.len(), "path", "paths"));
    differences.iter().take(SHOWN).for_each(|line| what.push_str(&format!("\n  {line}")));
    if differences.len() > SHOWN {
        what.push_str("\n  …");
    }
    Failure::new(what).advise("A directory that changes while it is read cannot be compared; try one at rest.")
}
