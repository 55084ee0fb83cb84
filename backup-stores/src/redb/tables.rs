//! What stands in the file: the tables, and the operations as transactions on them.

use backup_core::Bytes;
use backup_core::state::{Entry, Expected};
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableHandle, WriteTransaction};

/// The layout of the tables below.
const FORMAT: u64 = 1;

/// Numbers of the file itself: `format`, and `version`, the last one that was given to a value.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("backup-state");
/// Each value with its version.
const VALUES: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("values");
/// The generation of each lease that was ever held.
const GENERATIONS: TableDefinition<'_, &str, u64> = TableDefinition::new("lease-generations");

type Result<T> = std::result::Result<T, redb::Error>;

/// What a database turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Empty before; the tables are made and have to be committed.
    New,
    /// Ours.
    Ours,
    /// Made by a newer version.
    Newer(u64),
    /// Another program's.
    Foreign,
}

/// Makes the tables in an empty database; looks whether a filled one is ours.
pub(super) fn set_up(transaction: &WriteTransaction) -> Result<Origin> {
    let names: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    if !names.is_empty() && !names.iter().any(|name| name == NUMBERS.name()) {
        return Ok(Origin::Foreign);
    }
    let mut numbers = transaction.open_table(NUMBERS)?;
    let format = numbers.get("format")?.map(|format| format.value());
    match format {
        Some(FORMAT) => Ok(Origin::Ours),
        Some(newer) => Ok(Origin::Newer(newer)),
        None => {
            numbers.insert("format", FORMAT)?;
            transaction.open_table(VALUES)?;
            transaction.open_table(GENERATIONS)?;
            Ok(Origin::New)
        }
    }
}

pub(super) fn get(transaction: &ReadTransaction, key: &str) -> Result<Option<Entry>> {
    let values = transaction.open_table(VALUES)?;
    Ok(values.get(key)?.map(|stored| entry(stored.value())))
}

pub(super) fn range(
    transaction: &ReadTransaction,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Entry)>> {
    let values = transaction.open_table(VALUES)?;
    let start = after.map_or(prefix, |after| after.max(prefix));
    let mut found = Vec::new();
    for item in values.range(start..)? {
        let (key, stored) = item?;
        let key = key.value();
        if found.len() == limit || !key.starts_with(prefix) {
            break;
        }
        if after.is_none_or(|after| key > after) {
            found.push((key.to_owned(), entry(stored.value())));
        }
    }
    Ok(found)
}

/// `None` when nothing was changed and nothing is to be committed, which means that the value is otherwise than expected.
pub(super) fn compare_and_set(
    transaction: &WriteTransaction,
    key: &str,
    expected: Expected,
    value: Option<&[u8]>,
) -> Result<Option<()>> {
    let mut values = transaction.open_table(VALUES)?;
    let version = values.get(key)?.map(|stored| stored.value().0);
    if !expected.holds(version) {
        return Ok(None);
    }
    match value {
        Some(value) => {
            let mut numbers = transaction.open_table(NUMBERS)?;
            let next = counted(&mut numbers, "version")?;
            values.insert(key, (next, value))?;
        }
        None => {
            values.remove(key)?;
        }
    }
    Ok(Some(()))
}

/// Counts a new holder of the lease `name`.
pub(super) fn next_generation(transaction: &WriteTransaction, name: &str) -> Result<u64> {
    counted(&mut transaction.open_table(GENERATIONS)?, name)
}

fn counted(table: &mut redb::Table<'_, &'static str, u64>, name: &str) -> Result<u64> {
    let next = table.get(name)?.map_or(0, |number| number.value()).saturating_add(1);
    table.insert(name, next)?;
    Ok(next)
}

fn entry((version, value): (u64, &[u8])) -> Entry {
    Entry { version, value: Bytes::copy_from_slice(value) }
}
