//! `list`: the backups of a set, or the sets.

use std::sync::Arc;

use backup_core::repository::{BackupInfo, State};
use chrono::Utc;
use serde_json::json;

use super::arguments::List;
use super::failure::Failure;
use super::session::Session;
use super::table::{Table, ago};
use crate::quickstart::text;

pub(super) async fn run(session: &Session, list: List) -> Result<(), Failure> {
    let cx = session.context();
    let work = async {
        let repository = session.place.read_only(&cx).await?;
        match &list.set {
            Some(set) => {
                let backups = session.place.backups(&cx, &repository, set).await?;
                session.output.document(&json!({ "set": set, "backups": plain(&backups) }));
                session.output.table(&table(&backups));
                Ok(())
            }
            None => {
                let mut sets = Vec::new();
                for set in session.place.sets(&cx, &repository).await? {
                    sets.push((set.clone(), repository.list(&cx, &set).await?));
                }
                session.output.document(&json!({ "sets": sets.iter().map(|(set, all)| json!({
                    "set": set,
                    "backups": all.len(),
                    "good": good(all),
                    "stored_size": stored(all),
                    "latest": latest(all).map(|info| &**info),
                })).collect::<Vec<_>>() }));
                let mut table = Table::new(&["SET", "BACKUPS", "GOOD", "SIZE", "LATEST GOOD"], &[1, 2, 3]);
                for (set, all) in &sets {
                    let newest = latest(all)
                        .map_or_else(|| "none".to_owned(), |info| format!("{}, {}", info.id, ago(Utc::now(), info.created_at)));
                    let counts = [text::number(all.len()), text::number(good(all))];
                    let [all_of_it, good_ones] = counts;
                    table.row([set.to_string(), all_of_it, good_ones, text::size(stored(all)), newest]);
                }
                session.output.table(&table);
                Ok(())
            }
        }
    };
    session.job("listing", &cx, work).await
}

fn good(backups: &[Arc<BackupInfo>]) -> usize {
    backups.iter().filter(|info| info.is_good()).count()
}

pub(super) fn stored(backups: &[Arc<BackupInfo>]) -> u64 {
    backups.iter().map(|info| info.stored_size).fold(0, u64::saturating_add)
}

/// As it is serialised.
pub(super) fn plain(backups: &[Arc<BackupInfo>]) -> Vec<&BackupInfo> {
    backups.iter().map(|info| &**info).collect()
}

fn latest(backups: &[Arc<BackupInfo>]) -> Option<&Arc<BackupInfo>> {
    backups.iter().rev().find(|info| info.is_good())
}

fn table(backups: &[Arc<BackupInfo>]) -> Table {
    let mut table = Table::new(&["ID", "AGE", "SIZE", "STATE", "REVISION", "VERSION", "NOTES"], &[2]);
    let now = Utc::now();
    for info in backups {
        let revision = info.revision.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let version = info.version.clone().unwrap_or_else(|| "-".to_owned());
        table.row([
            info.id.to_string(),
            ago(now, info.created_at),
            text::size(info.stored_size),
            state(info).to_owned(),
            revision,
            version,
            notes(info),
        ]);
    }
    table
}

/// The state in one word: what a verify found counts, too.
pub(super) fn state(info: &BackupInfo) -> &'static str {
    match info.state {
        State::Published | State::Adopted if !info.is_good() => "damaged",
        State::Published => "published",
        State::Adopted => "adopted",
        State::Damaged(_) => "damaged",
        State::Unsupported(_) => "unsupported",
        _ => "unknown",
    }
}

/// What somebody should know about it, in a few words.
pub(super) fn notes(info: &BackupInfo) -> String {
    let now = Utc::now();
    let mut notes = Vec::new();
    if info.pinned {
        notes.push("pinned".to_owned());
    }
    if let Some((at, is_good)) = info.verified {
        notes.push(format!("{} {}", if is_good { "verified" } else { "found damaged" }, ago(now, at)));
    }
    if info.warnings > 0 {
        notes.push(text::count(usize::try_from(info.warnings).unwrap_or(usize::MAX), "warning", "warnings"));
    }
    if let Some(until) = info.retain_until.filter(|until| *until > now) {
        notes.push(format!("locked until {}", super::table::instant(until)));
    }
    if let Some(parent) = info.parents.first() {
        notes.push(format!("needs {parent}"));
    }
    if let Some(group) = &info.group {
        notes.push(format!("backup {group} at Cinder"));
    }
    if let State::Damaged(why) | State::Unsupported(why) = &info.state {
        notes.push(why.clone());
    }
    notes.join("; ")
}
