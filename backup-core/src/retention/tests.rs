mod damaged;
mod display;
mod properties;
mod rules;
mod texts;

use chrono::{DateTime, Utc};

use super::*;
use crate::name::BackupId;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The id of the `n`th backup of a set, whatever the clock said.
fn id(n: usize) -> BackupId {
    BackupId::new(format!("20260101T{:02}{:02}{:02}000Z-{n:08x}", n / 3600, n / 60 % 60, n % 60)).unwrap()
}

fn at(n: usize, created: &str) -> Candidate {
    Candidate::new(id(n), time(created), 100)
}

/// The numbers of the backups that stay.
fn kept(policy: &RetentionPolicy, now: &str, backups: &[Candidate]) -> Vec<usize> {
    numbers(&plan(policy, time(now), backups).unwrap())
}

fn numbers(plan: &Plan) -> Vec<usize> {
    let number = |id: &BackupId| usize::from_str_radix(id.as_str().rsplit('-').next().unwrap(), 16).unwrap();
    let mut numbers: Vec<_> = plan.kept().map(|item| number(&item.id)).collect();
    numbers.sort_unstable();
    numbers
}

fn reasons(plan: &Plan, n: usize) -> String {
    let item = plan.items.iter().find(|item| item.id == id(n)).unwrap();
    item.reasons.iter().map(Reason::to_string).collect::<Vec<_>>().join("; ")
}
