//! One schedule: what it waits for and what it does.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::Error;
use crate::name::JobId;
use crate::schedule::firing::{Outcome, Run};
use crate::schedule::record::Record;
use crate::schedule::settled::Settled;
use crate::schedule::{Occurrence, Schedule, Trigger};

/// The pause before what failed or was refused is tried again.
const PAUSE: TimeDelta = TimeDelta::seconds(10);

pub(super) enum Phase {
    /// The record has to be read first.
    New,
    Idle,
    /// A step is under way.
    Working,
    Running(Run),
    /// The job ended; that has to be stored.
    Ended(Run, DateTime<Utc>),
}

pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) schedule: Arc<Schedule>,
    pub(super) phase: Phase,
    /// What is to fire next.
    pub(super) pending: Option<Occurrence>,
    /// When it is to fire, jitter included.
    pub(super) at: Option<DateTime<Utc>>,
    /// Whether that was begun by a process that is gone: it counts as fired, and planned anew it would be lost.
    begun: bool,
    /// When there is something to do.
    pub(super) due: Option<DateTime<Utc>>,
    /// The job of a firing that was begun in this process.
    pub(super) job: Option<JobId>,
    /// Held by a step under way.
    pub(super) busy: Arc<tokio::sync::Mutex<()>>,
    /// Moments up to this one are over and done with.
    since: DateTime<Utc>,
    /// What an interval counts from, by both clocks.
    anchor: (DateTime<Utc>, Duration),
    settled: Settled,
    /// A job whose end was told before its start was.
    ended: Option<(JobId, DateTime<Utc>)>,
    trouble: Option<&'static str>,
}

impl Entry {
    pub(super) fn new(id: u64, schedule: Arc<Schedule>, now: DateTime<Utc>, monotonic: Duration) -> Self {
        let mut entry = Self {
            id,
            schedule,
            phase: Phase::New,
            pending: None,
            at: None,
            begun: false,
            due: None,
            job: None,
            busy: Arc::default(),
            since: before(now),
            anchor: (now, monotonic),
            settled: Settled::default(),
            ended: None,
            trouble: None,
        };
        entry.plan(now);
        entry.due = Some(now);
        entry
    }

    pub(super) fn replace(&mut self, schedule: Arc<Schedule>, now: DateTime<Utc>, monotonic: Duration) {
        let other = self.schedule.trigger != schedule.trigger;
        let same_times = !other && self.schedule.jitter == schedule.jitter;
        self.schedule = schedule;
        if other {
            (self.since, self.anchor, self.job) = (before(now), (now, monotonic), None);
        }
        if !same_times {
            self.plan_if_idle(now);
        }
    }

    /// Finds what is to fire next.
    fn plan(&mut self, now: DateTime<Utc>) {
        self.begun = false;
        let trigger = &self.schedule.trigger;
        let mut at = match trigger {
            Trigger::Interval { .. } => self.anchor.0,
            Trigger::Cron { .. } => self.since,
            Trigger::Windows { .. } => now,
        };
        self.pending = loop {
            let next = trigger.occurrence(at);
            // Each turn skips a span of what has fired.
            let Some((occurrence, end)) = next.as_ref().and_then(|next| Some((next, self.settled.span_end(next.nominal)?)))
            else {
                break next;
            };
            at = end.max(occurrence.closes.unwrap_or(occurrence.opens));
        };
        self.at = self.pending.as_ref().and_then(|next| next.opens.checked_add_signed(self.schedule.delay(next)));
        self.due = self.at;
    }

    fn plan_if_idle(&mut self, now: DateTime<Utc>) {
        if matches!(self.phase, Phase::Idle) {
            self.plan(now);
        }
    }

    fn idle(&mut self, now: DateTime<Utc>) {
        self.phase = Phase::Idle;
        self.job = None;
        self.plan(now);
    }

    fn later(&mut self, phase: Phase, now: DateTime<Utc>) {
        self.phase = phase;
        self.due = now.checked_add_signed(PAUSE);
    }

    pub(super) fn restart(&mut self, now: DateTime<Utc>, monotonic: Duration) {
        self.anchor = (now, monotonic);
        if matches!(self.schedule.trigger, Trigger::Interval { .. }) {
            self.plan_if_idle(now);
        }
    }

    /// The wall clock was set back.
    pub(super) fn set_back(&mut self, now: DateTime<Utc>, monotonic: Duration) {
        let passed = TimeDelta::from_std(monotonic.saturating_sub(self.anchor.1)).unwrap_or(TimeDelta::zero());
        self.anchor.0 = now.checked_sub_signed(passed).unwrap_or(now);
        self.since = self.since.min(before(now));
        match self.phase {
            Phase::Idle if !self.begun => self.plan(now),
            _ => self.due = self.due.map(|due| due.min(now)),
        }
    }

    pub(super) fn ended(&mut self, job: &JobId, now: DateTime<Utc>, monotonic: Duration) {
        match std::mem::replace(&mut self.phase, Phase::Working) {
            Phase::Running(run) if run.job == *job => {
                self.anchor = (now, monotonic);
                (self.phase, self.due) = (Phase::Ended(run, now), Some(now));
            }
            Phase::Working => {
                self.anchor = (now, monotonic);
                self.ended = Some((job.clone(), now));
            }
            other => self.phase = other,
        }
    }

    pub(super) fn loaded(&mut self, found: Result<Option<Record>, Error>, now: DateTime<Utc>) {
        let record = match self.note(found) {
            Some(record) => record,
            None => return self.later(Phase::New, now),
        };
        self.phase = Phase::Idle;
        let Some(record) = record else { return self.plan(now) };
        self.settled = record.settled;
        if self.schedule.catch_up && record.at <= now {
            let passed = (now - record.at).to_std().unwrap_or_default();
            self.since = record.at.min(self.since);
            self.anchor = (record.at, self.anchor.1.saturating_sub(passed));
        }
        if record.confirmed || record.occurrence.is_over(now) {
            return self.plan(now);
        }
        // It was begun by a process that is gone.
        (self.pending, self.at, self.due, self.begun) = (Some(record.occurrence), Some(now), Some(now), true);
    }

    pub(super) fn attempted(&mut self, outcome: Result<Outcome, Error>, now: DateTime<Utc>) {
        match self.note(outcome) {
            None | Some(Outcome::Later) => self.later(Phase::Idle, now),
            Some(Outcome::TooLate) => self.idle(now),
            Some(Outcome::Settled(record)) => {
                self.settled = record.settled;
                if record.at <= now {
                    self.since = self.since.max(record.at);
                    self.anchor.0 = self.anchor.0.max(record.at);
                }
                self.idle(now);
            }
            Some(Outcome::Started(run)) => {
                self.settled = run.record.settled.clone();
                self.since = now;
                self.idle(now);
                self.runs(run, now);
            }
        }
    }

    /// A job runs, or has ended already.
    pub(super) fn runs(&mut self, run: Run, now: DateTime<Utc>) {
        let ended = self.ended.take().filter(|(job, _)| *job == run.job);
        match ended {
            Some((_, ended)) => (self.phase, self.due) = (Phase::Ended(run, ended), Some(now)),
            None if run.record.confirmed => (self.phase, self.due) = (Phase::Running(run), None),
            None => self.later(Phase::Running(run), now),
        }
    }

    /// The end of a run is stored, as well as it could be.
    pub(super) fn over(&mut self, now: DateTime<Utc>) {
        self.idle(now);
    }

    /// Logs when trouble comes, changes and ends, once each.
    pub(super) fn note<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        let schedule = &self.schedule.name;
        match &result {
            Err(error) if self.trouble != Some(error.code().name) => {
                tracing::warn!(schedule, %error, "a schedule cannot go on; it tries again");
            }
            Ok(_) if self.trouble.is_some() => tracing::info!(schedule, "the schedule goes on"),
            _ => {}
        }
        self.trouble = result.as_ref().err().map(|error| error.code().name);
        result.ok()
    }
}

/// So that what falls on `now` itself still comes.
fn before(now: DateTime<Utc>) -> DateTime<Utc> {
    now.checked_sub_signed(TimeDelta::nanoseconds(1)).unwrap_or(now)
}
