//! A real etcd: filled, backed up, changed, restored into a second one, and every key compared.

mod keys;
mod programs;
mod server;

use backup_core::repository::{SkipReason, VerifyLevel};
use backup_core::retention::{Decision, RetentionPolicy};
use backup_core::{BackupOutcome, BackupRequest, Repository, RestoreTarget, SetName};
use backup_sources::etcd::{EtcdConfig, EtcdSource};

use super::failure::Failure;
use super::outside;
use super::scratch::Scratch;
use super::session::{BACKUPS, Session};
use super::text;
use programs::Programs;
use server::Server;

/// The steps, in order.
pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let programs = Programs::find()?;
    let set = SetName::new("etcd/demo")?;
    // Before the servers, so that it goes after them.
    let scratch = Scratch::new()?;
    let repository = session.repository()?;
    session.ui.line(&format!("\nA real etcd, backed up into {BACKUPS}, proven and restored\n"));

    let (server, step) = session.step("Start", Server::start(&programs.etcd, &scratch.path().join("original"))).await?;
    step.done(&format!("etcd {} on {}", server.version(), server.address()));
    let (original, step) = session.step("Fill", keys::fill(&server)).await?;
    step.done(&format!("{}, {}", text::count(original.len(), "key", "keys"), text::size(keys::bytes(&original))));

    let source = source(&server, &programs)?;
    let request = BackupRequest::new(set.clone()).skip_unchanged(None);
    let first = back_up(session, &repository, &source, &request).await?;
    if matches!(first, BackupOutcome::CompletedWithWarnings(..)) {
        session.ui.note("(Each run of this demonstration starts a new cluster.)");
    }
    let again = back_up(session, &repository, &source, &request).await?;
    if !matches!(again, BackupOutcome::Skipped(_, SkipReason::Unchanged)) {
        return Err(Failure::new("nothing was changed, and yet the second backup was not skipped"));
    }
    let (revision, step) = session.step("Change", keys::change_one(&server)).await?;
    step.done(&format!("one key; etcd is at revision {revision} now"));
    let second = back_up(session, &repository, &source, &request).await?;

    for outcome in [&first, &second] {
        verify(session, &repository, &source, outcome).await?;
    }

    let data = scratch.path().join("restored");
    let cx = repository.context();
    let target = RestoreTarget::new(serde_json::json!({ "data-dir": data }));
    let restore = repository.restore(&cx, &source, &set, &first.backup().id, &target);
    let (_, step) = session.job("Restore", &cx, restore).await?;
    step.done(&format!("{} into a new data directory", first.backup().id));
    let (restored, step) = session.step("Start", Server::start(&programs.etcd, &data)).await?;
    step.done(&format!("a second etcd on it, {}", restored.address()));
    let (_, step) = session.step("Compare", keys::compare(&restored, &original)).await?;
    step.done(&format!("all {} and their values are equal", text::count(original.len(), "key", "keys")));

    retain(session, &repository, &set).await?;
    explain(session, &programs, &second);
    Ok(())
}

fn source(server: &Server, programs: &Programs) -> Result<EtcdSource, Failure> {
    let mut config = EtcdConfig::new([server.address()]);
    config.etcdutl = programs.etcdutl.clone();
    config.inspect_with_tool = true;
    Ok(EtcdSource::new(config)?)
}

async fn back_up(
    session: &Session,
    repository: &Repository,
    source: &EtcdSource,
    request: &BackupRequest,
) -> Result<BackupOutcome, Failure> {
    let cx = repository.context();
    let (outcome, step) = session.job("Back up", &cx, repository.backup(&cx, source, request)).await?;
    let backup = outcome.backup();
    let revision = backup.revision.as_ref().map(ToString::to_string).unwrap_or_default();
    match &outcome {
        BackupOutcome::Skipped(..) => {
            step.done(&format!("skipped: unchanged since {}, still revision {revision}", backup.id));
        }
        BackupOutcome::Completed(_) | BackupOutcome::CompletedWithWarnings(..) => {
            step.done(&format!("{}, revision {revision}, {}", backup.id, text::size(backup.stored_size)));
        }
    }
    if let BackupOutcome::CompletedWithWarnings(_, warnings) = &outcome {
        session.ui.warnings(warnings);
    }
    Ok(outcome)
}

async fn verify(session: &Session, repository: &Repository, source: &EtcdSource, outcome: &BackupOutcome) -> Result<(), Failure> {
    let (cx, backup) = (repository.context(), outcome.backup());
    let verify = repository.verify(&cx, &backup.set, &backup.id, VerifyLevel::Restorable, Some(source));
    let (report, step) = session.job("Verify", &cx, verify).await?;
    if let Some(finding) = report.record.findings.first() {
        step.failed();
        return Err(Failure::new(format!("backup {} is damaged: {}", backup.id, finding.text)));
    }
    step.done(&format!("{} is good", backup.id));
    Ok(())
}

/// Keeps the newest backup. The plan says why for each; the prune does just that.
async fn retain(session: &Session, repository: &Repository, set: &SetName) -> Result<(), Failure> {
    let cx = repository.context();
    let policy = RetentionPolicy::default().keep_last(1);
    let (plan, step) = session.job("Plan", &cx, repository.plan(&cx, set, &policy)).await?;
    let mut lines = vec!["retention with keep-last 1 would".to_owned()];
    for item in &plan.items {
        let decision = if item.decision == Decision::Keep { "keep  " } else { "remove" };
        let reasons: Vec<_> = item.reasons.iter().map(ToString::to_string).collect();
        lines.push(format!("{decision} {}: {}", item.id, reasons.join(", ")));
    }
    step.done_lines(&lines);

    let cx = repository.context();
    let (report, step) = session.job("Prune", &cx, repository.prune(&cx, set, &plan)).await?;
    if let Some((id, error)) = report.failed.first() {
        step.failed();
        return Err(Failure::new(format!("backup {id} could not be removed: {error}")));
    }
    step.done(&format!("{} removed", text::count(report.removed.len(), "backup", "backups")));
    Ok(())
}

fn explain(session: &Session, programs: &Programs, newest: &BackupOutcome) {
    let Some(key) = &newest.backup().first_key else { return };
    let (etcd, etcdutl) = (outside::shown(&programs.etcd), outside::shown(&programs.etcdutl));
    session.ui.line(&format!(
        "
The backup is a plain etcd snapshot:
  {BACKUPS}/{key}

Without this software it comes back with
  {etcdutl} snapshot restore \\
      {BACKUPS}/{key} \\
      --data-dir restored
  {etcd} \\
      --data-dir restored
"
    ));
}
