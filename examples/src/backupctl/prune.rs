//! `prune`: the plan with its reasons, the question, and the removal.

use backup_core::repository::PruneReport;
use backup_core::retention::{Decision, Plan, Reason};
use serde_json::{Value, json};

use super::arguments::Prune;
use super::failure::Failure;
use super::output::note;
use super::session::Session;
use super::table::Table;
use crate::quickstart::text;

pub(super) async fn run(session: &Session, prune: Prune) -> Result<(), Failure> {
    let cx = session.context();
    let set = &prune.set;
    let plan = session.job("planning", &cx, async {
        let repository = match prune.dry_run {
            true => session.place.read_only(&cx).await?,
            false => session.place.writable(&cx).await?,
        };
        session.place.backups(&cx, &repository, set).await?;
        let plan = repository.plan(&cx, set, &prune.policy()).await?;
        Ok((repository, plan))
    });
    let (repository, plan) = plan.await?;
    let (kept, removed) = (plan.kept().count(), plan.removed().count());
    let freed = plan.removed().map(|item| item.stored_size).fold(0, u64::saturating_add);
    let goes = text::count(removed, "backup", "backups");
    session.output.plan(&table(&plan), &format!("{kept} stay, {removed} to remove ({})", text::size(freed)));
    if prune.dry_run || removed == 0 {
        session.output.document(&document(&prune, &plan, &PruneReport::default()));
        return Ok(());
    }
    session.confirm(&format!("Remove {goes} of {set} for good?")).await?;
    let cx = session.context();
    let report = session.job("removing", &cx, async { Ok(repository.prune(&cx, set, &plan).await?) }).await?;
    session.output.document(&document(&prune, &plan, &report));
    session.output.line(&format!("{} removed", text::count(report.removed.len(), "backup", "backups")));
    report.withdrawn.iter().for_each(|(id, why)| note(&format!("{id} stays after all: {why}")));
    report.failed.iter().for_each(|(id, error)| note(&format!("{id} could not be removed: {error}")));
    match report.failed.into_iter().next() {
        None => Ok(()),
        Some((id, error)) => Err(error.context(format!("removing backup {id} of {set}")).into()),
    }
}

fn table(plan: &Plan) -> Table {
    let mut table = Table::new(&["DECISION", "ID", "SIZE", "WHY"], &[2]);
    for item in &plan.items {
        let reasons: Vec<_> = item.reasons.iter().map(Reason::to_string).collect();
        table.row([word(item.decision).to_owned(), item.id.to_string(), text::size(item.stored_size), reasons.join("; ")]);
    }
    table
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Keep => "keep",
        Decision::Remove => "remove",
    }
}

fn document(prune: &Prune, plan: &Plan, report: &PruneReport) -> Value {
    let items = plan.items.iter().map(|item| {
        json!({
            "id": item.id,
            "decision": word(item.decision),
            "reasons": item.reasons.iter().map(Reason::to_string).collect::<Vec<_>>(),
            "stored_size": item.stored_size,
        })
    });
    let withdrawn = report.withdrawn.iter().map(|(id, why)| json!({ "id": id, "why": why }));
    let failed = report.failed.iter().map(|(id, error)| json!({ "id": id, "error": error.to_string() }));
    json!({
        "set": prune.set,
        "dry_run": prune.dry_run,
        "plan": items.collect::<Vec<_>>(),
        "removed": report.removed,
        "withdrawn": withdrawn.collect::<Vec<_>>(),
        "failed": failed.collect::<Vec<_>>(),
    })
}
