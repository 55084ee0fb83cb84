//! Retention: which backups of a set stay and which go, and why.
//!
//! [`plan`] is a pure function: it reads no clock and no store and removes nothing. What a dry run shows is what a prune does.
//!
//! # What is never removed
//! - the newest good backup, by the order of ids (which no clock can forge). Good is what is published and was not found
//!   damaged; a file of another program that was taken over counts as good until a verify says otherwise;
//! - a pinned one, one locked until after `now`, one that a live intent needs as parent;
//! - what a backup that stays needs for its restore, and what that one needs, and so on;
//! - a damaged one as long as there is no newer good one: a damaged backup is better than none.
//!
//! So a set that holds backups is never emptied, whatever policy, clock and time stamps say.
//!
//! # Damaged backups
//! They fill no place of a rule. One stays for as long as a good one made at the same time would stay, because parts of it may
//! be needed; it goes when no rule would keep such a one and there is a newer good one.
//!
//! # Clocks
//! Ages and periods come of `created_at`, the order comes of the ids. A backup from the future has age 0. A `now` far in the
//! future makes everything old: then all goes that only `keep-within` keeps, up to the newest good one.

mod age;
mod period;
mod plan;
mod planner;
mod policy;
mod reason;

pub use crate::zone::Zone;
pub use age::Age;
pub use period::Period;
pub use plan::{Decision, Plan, PlanItem};
pub use planner::{Candidate, State, plan};
pub use policy::RetentionPolicy;
pub use reason::Reason;

#[cfg(test)]
mod tests;
