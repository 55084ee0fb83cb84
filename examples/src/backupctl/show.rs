//! `show`: all that is known of one backup.

use backup_core::Repository;
use backup_core::manifest::{Artifact, Manifest};
use backup_core::naming::Description;
use backup_core::repository::{BackupInfo, State};
use backup_core::source::BackupReader;
use chrono::Utc;
use serde_json::{Value, json};

use super::arguments::Show;
use super::failure::{Class, Failure};
use super::session::Session;
use super::table::{Table, ago, instant};
use super::{list, volume};
use crate::quickstart::text;

pub(super) async fn run(session: &Session, show: Show) -> Result<(), Failure> {
    let cx = session.context();
    let work = async {
        let repository = session.place.read_only(&cx).await?;
        let info = session.place.find(&cx, &repository, &show.backup.set, &show.backup.id).await?;
        let content = content(&cx, &repository, &info).await;
        let (content, failed) = match content {
            Ok(content) => (content, None),
            Err(failure) => (None, Some(failure)),
        };
        let unread = if content.is_none() { repository.description(&cx, &info).await? } else { None };
        print(session, &info, content.as_ref(), unread.as_ref());
        match (failed, &info.state) {
            (Some(failure), _) => Err(failure),
            (None, State::Damaged(why)) => Err(Failure::new(Class::Damaged, why.clone())),
            (None, _) if !info.is_good() && info.verified.is_some() => {
                Err(Failure::new(Class::Damaged, "the last verify found it damaged; run verify to see what"))
            }
            _ => Ok(()),
        }
    };
    session.job("reading", &cx, work).await
}

/// The manifest and the artifacts, `None` for a backup without a readable manifest.
async fn content(
    cx: &backup_core::JobContext,
    repository: &Repository,
    info: &BackupInfo,
) -> Result<Option<(Manifest, Vec<Artifact>)>, Failure> {
    if !info.state.is_published() {
        return Ok(None);
    }
    let backup = repository.open(cx, &info.set, &info.id).await?;
    Ok(Some((backup.manifest().clone(), backup.entries().to_vec())))
}

fn print(session: &Session, info: &BackupInfo, content: Option<&(Manifest, Vec<Artifact>)>, unread: Option<&Description>) {
    session.output.document(&document(info, content));
    let mut table = Table::new(&["BACKUP", info.id.as_str()], &[]);
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            table.row([name.to_owned(), value]);
        }
    };
    row("set", info.set.to_string());
    row("state", list::state(info).to_owned());
    row("notes", list::notes(info));
    row("created", format!("{}, {}", instant(info.created_at), ago(Utc::now(), info.created_at)));
    row("published", info.published_at.map_or_else(String::new, instant));
    row("stored", format!("{} ({} bytes)", text::size(info.stored_size), info.stored_size));
    row("revision", info.revision.as_ref().map_or_else(String::new, ToString::to_string));
    row("version", info.version.clone().unwrap_or_default());
    row("identity", info.identity.clone().unwrap_or_default());
    let integrity = content.and_then(|(manifest, _)| manifest.source.integrity.as_ref());
    volume::rows(integrity.or(unread.and_then(|unread| unread.integrity.as_ref())))
        .into_iter()
        .for_each(|(name, value)| row(name, value));
    if let Some((manifest, _)) = content {
        row("source", manifest.source.kind.clone());
        row("job", manifest.job.to_string());
        row(
            "labels",
            if manifest.labels.is_empty() { String::new() } else { Value::Object(manifest.labels.clone()).to_string() },
        );
        manifest.warnings.iter().for_each(|warning| row("warning", warning.clone()));
    }
    row("first key", info.first_key.as_ref().map_or_else(String::new, ToString::to_string));
    session.output.table(&table);
    let Some((_, artifacts)) = content else { return };
    let mut table = Table::new(&["ARTIFACT", "SIZE", "STORED", "COMPRESSION", "SHA-256 AS STORED", "KEY"], &[1, 2]);
    for artifact in artifacts {
        table.row([
            artifact.name.to_string(),
            text::size(artifact.size),
            text::size(artifact.stored.size),
            compression(artifact).to_owned(),
            artifact.stored.sha256.to_string(),
            artifact.key.to_string(),
        ]);
    }
    session.output.line("");
    session.output.table(&table);
}

fn compression(artifact: &Artifact) -> &'static str {
    match artifact.compression.suffix() {
        ".gz" => "gzip",
        ".zst" => "zstd",
        _ => "none",
    }
}

fn document(info: &BackupInfo, content: Option<&(Manifest, Vec<Artifact>)>) -> Value {
    let artifacts = content.map(|(_, artifacts)| {
        let each = artifacts.iter().map(|artifact| {
            json!({
                "name": artifact.name,
                "key": artifact.key,
                "compression": artifact.compression,
                "size": artifact.size,
                "sha256": artifact.sha256,
                "stored_size": artifact.stored.size,
                "stored_sha256": artifact.stored.sha256,
            })
        });
        each.collect::<Vec<_>>()
    });
    json!({
        "backup": info,
        "source": content.map(|(manifest, _)| &manifest.source),
        "job": content.map(|(manifest, _)| &manifest.job),
        "labels": content.map(|(manifest, _)| &manifest.labels),
        "warnings": content.map(|(manifest, _)| &manifest.warnings),
        "artifacts": artifacts,
    })
}
