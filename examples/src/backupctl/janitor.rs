//! `janitor`: what crashed backups and removals left, and its removal.

use backup_core::repository::JanitorReport;
use backup_core::store::ListOptions;
use backup_core::{JobContext, KeyPrefix, ObjectMeta, Repository};
use chrono::Utc;
use futures::TryStreamExt;
use serde_json::{Value, json};

use super::arguments::Janitor;
use super::failure::{Class, Failure};
use super::output::note;
use super::session::Session;
use super::table::{Table, ago};
use crate::quickstart::text;

/// Where records of work under way stand (`docs/format.md`), and what one of them means.
const OPEN: [(&str, &str); 2] = [
    (".backup/intents", "a backup that began and has not ended"),
    (".backup/tombstones", "a removal that began and has not ended"),
];

pub(super) async fn run(session: &Session, janitor: Janitor) -> Result<(), Failure> {
    let cx = session.context();
    let looked = session.job("looking", &cx, async {
        let repository = match janitor.dry_run {
            true => session.place.read_only(&cx).await?,
            false => session.place.writable(&cx).await?,
        };
        let open = open_records(&cx, &repository).await?;
        Ok((repository, open))
    });
    let (repository, open) = looked.await?;
    let mut table = Table::new(&["AGE", "RECORD", "MEANS"], &[]);
    for (object, means) in &open {
        table.row([age(object), object.key.to_string(), (*means).to_owned()]);
    }
    session.output.plan(
        &table,
        &format!(
            "{}; what has shown no sign of life for its time and an hour of grace is cleaned up with its objects, and so are unfinished \
             writes; what runs is left alone, and no published backup is touched",
            text::count(open.len(), "record of work under way", "records of work under way")
        ),
    );
    if janitor.dry_run {
        session.output.document(&document(&janitor, &open, &JanitorReport::default()));
        return Ok(());
    }
    session.confirm("Clean up?").await?;
    let cx = session.context();
    let report = session.job("cleaning up", &cx, async { Ok(repository.janitor(&cx).await?) }).await?;
    session.output.document(&document(&janitor, &open, &report));
    session.output.line(&format!(
        "{} given up, {} finished, {} taken back; {} and {} removed",
        text::count(report.aborted.len(), "backup", "backups"),
        counted(report.removals, "removal", "removals"),
        report.withdrawn,
        counted(report.objects, "object", "objects"),
        counted(report.unfinished, "unfinished write", "unfinished writes"),
    ));
    report.problems.iter().for_each(|error| note(&format!("problem: {error}")));
    match (report.problems.into_iter().next(), report.busy.first()) {
        (Some(error), _) => Err(error.into()),
        (None, Some(set)) => Err(Failure::new(Class::Busy, format!("a job works on {set}; it was left for later"))),
        (None, None) => Ok(()),
    }
}

fn counted(count: u64, one: &str, more: &str) -> String {
    text::count(usize::try_from(count).unwrap_or(usize::MAX), one, more)
}

async fn open_records(cx: &JobContext, repository: &Repository) -> Result<Vec<(ObjectMeta, &'static str)>, Failure> {
    let mut found = Vec::new();
    for (prefix, means) in OPEN {
        let mut listing = repository.store().list(cx, &KeyPrefix::new(prefix)?, ListOptions::default());
        while let Some(object) = listing.try_next().await? {
            found.push((object, means));
        }
    }
    Ok(found)
}

fn age(object: &ObjectMeta) -> String {
    object.modified.map_or_else(|| "-".to_owned(), |modified| ago(Utc::now(), modified))
}

fn document(janitor: &Janitor, open: &[(ObjectMeta, &str)], report: &JanitorReport) -> Value {
    let open = open.iter().map(|(object, _)| json!({ "key": object.key, "modified": object.modified }));
    json!({
        "dry_run": janitor.dry_run,
        "open": open.collect::<Vec<_>>(),
        "aborted": report.aborted.iter().map(|(set, id)| json!({ "set": set, "id": id })).collect::<Vec<_>>(),
        "objects": report.objects,
        "intents": report.intents,
        "removals": report.removals,
        "withdrawn": report.withdrawn,
        "unfinished": report.unfinished,
        "busy": report.busy,
        "problems": report.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
