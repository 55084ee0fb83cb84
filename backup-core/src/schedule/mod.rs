//! Schedules: when a backup, a verify or a prune starts by itself.
//!
//! [`Trigger`] is the pure part: which [`Occurrence`] comes next, by the calendar of a [`Zone`](crate::Zone). [`Scheduler`] runs
//! [`Schedule`]s: it waits for their occurrences and fires each exactly once, also over restarts, crashes, jumps of the clock, and with
//! several processes on one state.

mod cron;
mod duration;
mod firing;
mod occurrence;
mod record;
mod scheduler;
mod settled;
mod spec;
mod trigger;
mod window;

#[cfg(test)]
mod tests;

pub use cron::CronExpression;
pub use firing::{Fire, Fired};
pub use occurrence::Occurrence;
pub use scheduler::{NextRun, Scheduler};
pub use spec::{Action, Schedule};
pub use trigger::Trigger;
pub use window::{TimeOfDay, Weekdays};
