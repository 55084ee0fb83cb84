//! From a backup to a snapshot file or to the data directory of a new member.

use std::io;
use std::path::{Path, PathBuf};

use backup_core::error::codes as core_codes;
use backup_core::source::ArtifactStream;
use backup_core::{ArtifactName, BackupReader, Error, JobContext, RestoreReport, RestoreTarget, Result};
use serde::Deserialize;

use super::check::{self, Checked};
use super::config::EtcdConfig;
use super::data_dir::DataDir;
use super::tool::Tool;
use crate::feed::feed;
use crate::file::{NewFile, check_target};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Target {
    snapshot_file: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    name: Option<String>,
    initial_cluster: Option<String>,
    initial_advertise_peer_urls: Option<String>,
    initial_cluster_token: Option<String>,
    bump_revision: Option<u64>,
    mark_compacted: bool,
    etcdutl: Option<PathBuf>,
}

pub(super) async fn restore(
    config: &EtcdConfig,
    cx: &JobContext,
    reader: &dyn BackupReader,
    target: &RestoreTarget,
) -> Result<RestoreReport> {
    let asked: Target = target.parse()?;
    let name = artifact(config, reader)?;
    match (&asked.snapshot_file, &asked.data_dir) {
        (Some(path), None) => {
            asked.only_a_file()?;
            check_target(path)?;
            let stream = cx.run(reader.open(cx, &name)).await?;
            let checked = match target.dry_run {
                true => verify(cx, stream).await?,
                false => to_file(cx, stream, path).await?,
            };
            Ok(report(&checked, serde_json::json!({ "snapshot-file": path })))
        }
        (None, Some(path)) => {
            let tool = Tool::find(asked.etcdutl.as_deref().unwrap_or(&config.etcdutl))?;
            tool.needs(cx, &asked.flags()).await?;
            DataDir::check(path)?;
            let stream = cx.run(reader.open(cx, &name)).await?;
            if target.dry_run {
                return Ok(report(&verify(cx, stream).await?, serde_json::json!({ "data-dir": path, "tool": tool.name() })));
            }
            let (checked, log) = to_data_dir(cx, stream, path, &tool, &asked).await?;
            Ok(report(&checked, serde_json::json!({ "data-dir": path, "tool": tool.name(), "log": log })))
        }
        _ => Err(refused("name either `snapshot-file` or `data-dir`")),
    }
}

/// The configured artifact, or the only one of a backup that was made under another name or packaging.
pub(super) fn artifact(config: &EtcdConfig, reader: &dyn BackupReader) -> Result<ArtifactName> {
    let (wanted, mut names) = (config.artifact()?, reader.artifacts());
    if names.contains(&wanted) {
        return Ok(wanted);
    }
    match (names.pop(), names.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(Error::new(&core_codes::INPUT_INVALID, format!("the backup holds no artifact named {wanted}"))),
    }
}

async fn verify(cx: &JobContext, stream: ArtifactStream) -> Result<Checked> {
    feed(cx, stream, |input| check::read(input, &mut io::sink())).await?.whole()
}

async fn to_file(cx: &JobContext, stream: ArtifactStream, path: &Path) -> Result<Checked> {
    let file = NewFile::create(cx, path).await?;
    let mut output = file.handle()?;
    let checked = feed(cx, stream, move |input| check::read(input, &mut output)).await?.whole()?;
    file.publish().await?;
    Ok(checked)
}

/// The snapshot lands in a private directory inside the data directory, so that it needs no other file system, and the
/// tool restores beside it; a rename then makes the member visible as a whole.
async fn to_data_dir(
    cx: &JobContext,
    stream: ArtifactStream,
    path: &Path,
    tool: &Tool,
    asked: &Target,
) -> Result<(Checked, String)> {
    let data_dir = DataDir::prepare(cx, path)?;
    let file = NewFile::create(cx, &data_dir.private("snapshot.db")).await?;
    let mut output = file.handle()?;
    let checked = feed(cx, stream, move |input| check::read(input, &mut output)).await?.whole()?;
    let snapshot = file.into_temporary().await?;
    let log = tool.output(cx, &asked.arguments(snapshot.path(), &data_dir.private("restored"))?).await?;
    drop(snapshot);
    data_dir.publish("restored").await?;
    Ok((checked, log))
}

impl Target {
    fn only_a_file(&self) -> Result<()> {
        let texts = [&self.name, &self.initial_cluster, &self.initial_advertise_peer_urls, &self.initial_cluster_token];
        if texts.iter().any(|text| text.is_some()) || self.bump_revision.is_some() || self.mark_compacted {
            return Err(refused("the member's settings go with `data-dir`, not with `snapshot-file`"));
        }
        Ok(())
    }

    /// The flags beyond those that every version has.
    fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec!["--data-dir"];
        flags.extend(self.bump_revision.map(|_| "--bump-revision"));
        flags.extend(self.mark_compacted.then_some("--mark-compacted"));
        flags
    }

    fn arguments(&self, snapshot: &Path, data_dir: &Path) -> Result<Vec<String>> {
        let text =
            |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| refused(format!("{} is no UTF-8 path", path.display())));
        let mut arguments = vec!["snapshot".to_owned(), "restore".to_owned(), text(snapshot)?];
        arguments.push(format!("--data-dir={}", text(data_dir)?));
        let settings = [
            ("name", &self.name),
            ("initial-cluster", &self.initial_cluster),
            ("initial-advertise-peer-urls", &self.initial_advertise_peer_urls),
            ("initial-cluster-token", &self.initial_cluster_token),
        ];
        for (flag, value) in settings {
            arguments.extend(value.iter().map(|value| format!("--{flag}={value}")));
        }
        arguments.extend(self.bump_revision.map(|by| format!("--bump-revision={by}")));
        arguments.extend(self.mark_compacted.then(|| "--mark-compacted".to_owned()));
        Ok(arguments)
    }
}

fn report(checked: &Checked, mut details: serde_json::Value) -> RestoreReport {
    if let Some(members) = details.as_object_mut() {
        members.insert("sha256".to_owned(), checked.sha256.to_string().into());
        members.insert("db-size".to_owned(), checked.db_size().into());
    }
    RestoreReport::new(checked.size).details(details)
}

fn refused(what: impl std::fmt::Display) -> Error {
    Error::new(&core_codes::INPUT_INVALID, format!("the restore target is not usable: {what}"))
}
