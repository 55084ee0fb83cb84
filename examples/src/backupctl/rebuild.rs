//! `rebuild`: every manifest is read anew, and what is there is said. The catalogue is nothing but that.

use std::sync::Arc;

use backup_core::SetName;
use backup_core::repository::BackupInfo;
use serde_json::{Value, json};

use super::arguments::Rebuild;
use super::failure::{Class, Failure};
use super::list::{notes, plain, state, stored};
use super::output::note;
use super::session::Session;
use super::table::Table;
use crate::quickstart::text;

/// The states that are counted, in the order of the columns.
const STATES: [&str; 4] = ["published", "adopted", "damaged", "unsupported"];

pub(super) async fn run(session: &Session, _: Rebuild) -> Result<(), Failure> {
    let cx = session.context();
    let work = async {
        let repository = session.place.read_only(&cx).await?;
        let mut sets = Vec::new();
        for set in session.place.sets(&cx, &repository).await? {
            cx.check()?;
            sets.push((set.clone(), repository.list(&cx, &set).await?));
        }
        Ok(sets)
    };
    let sets = session.job("reading manifests", &cx, work).await?;
    session.output.document(&json!({ "sets": sets.iter().map(document).collect::<Vec<_>>() }));
    let mut table = Table::new(&["SET", "PUBLISHED", "ADOPTED", "DAMAGED", "UNSUPPORTED", "SIZE"], &[1, 2, 3, 4]);
    for (set, backups) in &sets {
        let [published, adopted, damaged, unsupported] = counts(backups).map(text::number);
        table.row([set.to_string(), published, adopted, damaged, unsupported, text::size(stored(backups))]);
    }
    session.output.table(&table);
    let damaged: Vec<_> = sets.iter().flat_map(|(_, backups)| backups).filter(|info| state(info) == "damaged").collect();
    damaged.iter().for_each(|info| note(&format!("damaged: {} of {}: {}", info.id, info.set, notes(info))));
    match damaged.len() {
        0 => Ok(()),
        count => Err(Failure::new(Class::Damaged, format!("{} damaged", text::count(count, "backup is", "backups are")))),
    }
}

fn counts(backups: &[Arc<BackupInfo>]) -> [usize; 4] {
    STATES.map(|wanted| backups.iter().filter(|info| state(info) == wanted).count())
}

fn document((set, backups): &(SetName, Vec<Arc<BackupInfo>>)) -> Value {
    let [published, adopted, damaged, unsupported] = counts(backups);
    json!({
        "set": set,
        "published": published,
        "adopted": adopted,
        "damaged": damaged,
        "unsupported": unsupported,
        "stored_size": stored(backups),
        "backups": plain(backups),
    })
}
