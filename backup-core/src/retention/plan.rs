use std::fmt;

use super::Reason;
use crate::name::BackupId;

/// What becomes of each backup of a set, the newest first. Removes nothing by itself. `Display` prints a table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a plan removes nothing by itself"]
#[non_exhaustive]
pub struct Plan {
    /// Each backup once, the newest first.
    pub items: Vec<PlanItem>,
}

/// What becomes of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanItem {
    /// The backup.
    pub id: BackupId,
    /// Whether it stays.
    pub decision: Decision,
    /// Why; never empty.
    pub reasons: Vec<Reason>,
    /// Its stored bytes.
    pub stored_size: u64,
}

/// Whether a backup stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It stays.
    Keep,
    /// It goes.
    Remove,
}

impl Plan {
    /// The backups that stay, the newest first.
    pub fn kept(&self) -> impl Iterator<Item = &PlanItem> {
        self.items.iter().filter(|item| item.decision == Decision::Keep)
    }

    /// The backups that go, the newest first: none before one that needs it.
    pub fn removed(&self) -> impl Iterator<Item = &PlanItem> {
        self.items.iter().filter(|item| item.decision == Decision::Remove)
    }
}

fn bytes<'a>(items: impl Iterator<Item = &'a PlanItem>) -> u128 {
    items.map(|item| u128::from(item.stored_size)).sum()
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<8}  {:<28}  {:>15}  WHY", "DECISION", "BACKUP", "BYTES")?;
        for item in &self.items {
            let decision = match item.decision {
                Decision::Keep => "keep",
                Decision::Remove => "remove",
            };
            let reasons: Vec<_> = item.reasons.iter().map(Reason::to_string).collect();
            writeln!(f, "{decision:<8}  {:<28}  {:>15}  {}", item.id.as_str(), item.stored_size, reasons.join("; "))?;
        }
        let (kept, removed) = (self.kept().count(), self.removed().count());
        write!(f, "{kept} kept ({} bytes), {removed} to remove ({} bytes)", bytes(self.kept()), bytes(self.removed()))
    }
}
