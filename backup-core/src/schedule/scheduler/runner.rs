//! The task: waits for what is due, and takes the steps of the schedules, those of different ones at the same time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use super::Shared;
use super::entry::{Entry, Phase};
use crate::error::{Error, Result, codes};
use crate::name::JobId;
use crate::schedule::Occurrence;
use crate::schedule::firing::{Firing, Outcome, Run};
use crate::schedule::record::Record;

/// How long the wall clock is trusted.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// How much the wall clock may fall behind without having been set back.
const SLACK: TimeDelta = TimeDelta::seconds(1);

enum Work {
    Load,
    Attempt(Occurrence, JobId),
    Confirm(Run),
    End(Run, DateTime<Utc>),
}

enum Done {
    Loaded(Result<Option<Record>>),
    Attempted(Result<Outcome>),
    Confirmed(Run, Result<()>),
    Over(Result<()>),
}

struct Step {
    name: String,
    id: u64,
    busy: Arc<tokio::sync::Mutex<()>>,
    firing: Firing,
    work: Work,
}

pub(super) async fn run(shared: Arc<Shared>) {
    let mut steps: FuturesUnordered<BoxFuture<'static, (String, u64, Done)>> = FuturesUnordered::new();
    let clock = shared.environment.clock.clone();
    let mut seen = (clock.now(), clock.monotonic());
    loop {
        let (now, monotonic) = (clock.now(), clock.monotonic());
        let passed = TimeDelta::from_std(monotonic.saturating_sub(seen.1)).unwrap_or(TimeDelta::zero());
        let set_back = seen.0.checked_add_signed(passed - SLACK).is_some_and(|expected| now < expected);
        seen = (now, monotonic);
        let wait = {
            let mut table = shared.table();
            if table.stopped && steps.is_empty() {
                return;
            }
            if set_back {
                table.set_back(now, monotonic);
            }
            while !table.stopped
                && let Some(name) = table.pop_due(now)
            {
                let step = table.with(&name, |entry| shared.step(entry, now)).flatten();
                steps.extend(step.map(|step| shared.clone().take(step)));
            }
            let until = |due: DateTime<Utc>| (due - now).to_std().unwrap_or_default();
            table.next_due().map_or(LOOK_AGAIN, until).min(LOOK_AGAIN)
        };
        tokio::select! {
            biased;
            Some((name, id, done)) = steps.next(), if !steps.is_empty() => shared.apply(&name, id, done),
            () = shared.changed.notified() => {}
            () = clock.sleep(wait) => {}
        }
    }
}

impl Shared {
    /// What is to be done for a schedule that is due.
    fn step(&self, entry: &mut Entry, now: DateTime<Utc>) -> Option<Step> {
        let work = match std::mem::replace(&mut entry.phase, Phase::Working) {
            Phase::New => Work::Load,
            Phase::Running(run) => Work::Confirm(run),
            Phase::Ended(run, at) => Work::End(run, at),
            Phase::Working => return None,
            Phase::Idle => match entry.pending.clone() {
                Some(pending) if !pending.is_over(now) => {
                    let job = entry.job.get_or_insert_with(|| JobId::random(&*self.environment.random)).clone();
                    Work::Attempt(pending, job)
                }
                _ => {
                    entry.over(now);
                    return None;
                }
            },
        };
        let firing = Firing {
            state: self.state.clone(),
            environment: self.environment.clone(),
            fire: self.fire.clone(),
            schedule: entry.schedule.clone(),
        };
        Some(Step { name: entry.schedule.name.clone(), id: entry.id, busy: entry.busy.clone(), firing, work })
    }

    fn take(self: Arc<Self>, step: Step) -> BoxFuture<'static, (String, u64, Done)> {
        Box::pin(async move {
            let Step { name, id, busy, firing, work } = step;
            let _busy = busy.lock().await;
            if !self.table().holds(&name, id) {
                return (name, id, Done::Over(Ok(())));
            }
            let panicked = || Error::new(&codes::INTERNAL, "a step of the scheduler panicked");
            let done = match work {
                Work::Load => Done::Loaded(firing.load().await),
                Work::Attempt(pending, job) => {
                    let attempt = AssertUnwindSafe(firing.attempt(&pending, job)).catch_unwind().await;
                    match attempt.unwrap_or_else(|_| Err(panicked())) {
                        Ok(Outcome::Started(mut run)) => {
                            // Not confirmed, it is tried again while the job runs.
                            let confirmed = firing.confirm_run(&mut run, None).await;
                            if let Err(error) = confirmed {
                                tracing::warn!(schedule = name, %error, "a firing is not confirmed yet");
                            }
                            Done::Attempted(Ok(Outcome::Started(run)))
                        }
                        other => Done::Attempted(other),
                    }
                }
                Work::Confirm(mut run) => {
                    let result = firing.confirm_run(&mut run, None).await;
                    Done::Confirmed(run, result)
                }
                Work::End(mut run, at) => Done::Over(firing.confirm_run(&mut run, Some(at)).await),
            };
            (name, id, done)
        })
    }

    fn apply(&self, name: &str, id: u64, done: Done) {
        let now = self.environment.clock.now();
        let mut table = self.table();
        if !table.holds(name, id) {
            return;
        }
        table.with(name, |entry| match done {
            Done::Loaded(found) => entry.loaded(found, now),
            Done::Attempted(outcome) => entry.attempted(outcome, now),
            Done::Confirmed(run, result) => {
                entry.note(result);
                entry.runs(run, now);
            }
            Done::Over(result) => {
                entry.note(result);
                entry.over(now);
            }
        });
    }
}
