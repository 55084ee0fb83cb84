//! `verify`: reads back and checks one backup, or all of them.

use std::sync::Arc;

use backup_core::repository::{BackupInfo, VerifyReport};
use backup_core::{JobContext, Repository, Source};
use serde_json::{Value, json};

use super::arguments::Verify;
use super::failure::{Class, Failure};
use super::output::note;
use super::session::Session;
use super::table::Table;
use crate::quickstart::text;

/// How the check of one backup ended.
struct Checked {
    info: Arc<BackupInfo>,
    result: Result<VerifyReport, Failure>,
}

pub(super) async fn run(session: &Session, verify: Verify) -> Result<(), Failure> {
    let cx = session.context();
    let work = async {
        let repository = session.place.writable(&cx).await?;
        let mut checked = Vec::new();
        for info in chosen(session, &cx, &repository, &verify).await? {
            let result = check(&cx, &repository, &info, &verify).await;
            // What was checked before an interrupt is still told.
            if cx.check().is_err() {
                break;
            }
            checked.push(Checked { info, result });
        }
        Ok(checked)
    };
    let checked = session.job("verifying", &cx, work).await?;
    print(session, &checked);
    if cx.cancel_token().is_cancelled() {
        return Err(Failure::interrupted());
    }
    ended(&checked)
}

async fn chosen(
    session: &Session,
    cx: &JobContext,
    repository: &Repository,
    verify: &Verify,
) -> Result<Vec<Arc<BackupInfo>>, Failure> {
    match (&verify.set, &verify.id) {
        (Some(set), Some(id)) => Ok(vec![session.place.find(cx, repository, set, id).await?]),
        (Some(set), None) => session.place.backups(cx, repository, set).await,
        (None, _) => {
            let mut all = Vec::new();
            for set in session.place.sets(cx, repository).await? {
                all.extend(repository.list(cx, &set).await?);
            }
            Ok(all)
        }
    }
}

async fn check(cx: &JobContext, repository: &Repository, info: &BackupInfo, verify: &Verify) -> Result<VerifyReport, Failure> {
    let source = source_of(cx, repository, info).await?;
    Ok(repository.verify(cx, &info.set, &info.id, verify.level.into(), source.as_deref()).await?)
}

/// What can look into a backup, `None` for one of a kind that nobody here knows.
#[allow(clippy::unused_async, reason = "awaits nothing where it was built without any")]
async fn source_of(cx: &JobContext, repository: &Repository, info: &BackupInfo) -> Result<Option<Box<dyn Source>>, Failure> {
    #[cfg(feature = "etcd")]
    if let Some(source) = super::restore::etcd_source(repository, cx, info).await? {
        return Ok(Some(Box::new(source)));
    }
    #[cfg(feature = "cinder")]
    if super::volume::is_one(repository, cx, info).await {
        return Ok(Some(Box::new(super::volume::Volumes)));
    }
    let _ = (cx, repository, info);
    Ok(None)
}

fn print(session: &Session, checked: &[Checked]) {
    session.output.document(&json!({ "verified": checked.iter().map(document).collect::<Vec<_>>() }));
    let mut table = Table::new(&["RESULT", "SET", "ID", "READ", "WHAT"], &[3]);
    for Checked { info, result } in checked {
        let (word, read, what) = match result {
            Ok(report) if report.is_good() => ("good", text::size(report.bytes), report.record.checks.join(", ")),
            Ok(report) => {
                let findings = report.record.findings.iter().map(|finding| finding.text.clone());
                ("DAMAGED", text::size(report.bytes), findings.collect::<Vec<_>>().join("; "))
            }
            Err(failure) => ("unknown", "-".to_owned(), failure.to_string()),
        };
        table.row([word.to_owned(), info.set.to_string(), info.id.to_string(), read, what]);
    }
    session.output.table(&table);
}

fn document(Checked { info, result }: &Checked) -> Value {
    let report = result.as_ref().ok();
    json!({
        "set": info.set,
        "id": info.id,
        "good": report.map(VerifyReport::is_good),
        "bytes": report.map(|report| report.bytes),
        "checks": report.map(|report| &report.record.checks),
        "findings": report.map(|report| &report.record.findings),
        "error": result.as_ref().err().map(ToString::to_string),
    })
}

/// Damage counts more than a check that could not be made.
fn ended(checked: &[Checked]) -> Result<(), Failure> {
    let damaged = checked.iter().filter(|one| one.result.as_ref().is_ok_and(|report| !report.is_good())).count();
    let unknown = checked.iter().filter_map(|one| one.result.as_ref().err()).collect::<Vec<_>>();
    let all = text::count(checked.len(), "backup", "backups");
    note(&format!("{all} checked, {damaged} damaged, {} could not be checked", unknown.len()));
    match (damaged, unknown.first()) {
        (0, None) => Ok(()),
        (0, Some(first)) => Err(Failure::new(first.class(), format!("{} of {all} could not be checked", unknown.len()))),
        _ => Err(Failure::new(Class::Damaged, format!("{damaged} of {all} damaged"))),
    }
}
