mod catch_up;
mod clocks;
mod crashes;
mod cron;
mod firing;
mod replicas;
mod run_time;
mod texts;
mod windows;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::environment::{Clock, Environment};
use crate::error::{Error, Result, codes};
use crate::name::{JobId, SetName};
use crate::testkit::{MemoryState, SeededRandom, VirtualClock};

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn cron(expression: &str, zone: &str) -> Trigger {
    Trigger::Cron { expression: expression.parse().unwrap(), zone: zone.parse().unwrap() }
}

fn windows(days: &[&str], start: &str, end: &str, zone: &str) -> Trigger {
    let days = days.iter().map(ToString::to_string).collect::<Vec<_>>().try_into().unwrap();
    Trigger::Windows { days, start: start.parse().unwrap(), end: end.parse().unwrap(), zone: zone.parse().unwrap() }
}

fn daily(start: &str, end: &str, zone: &str) -> Trigger {
    Trigger::Windows {
        days: Weekdays::ALL,
        start: start.parse().unwrap(),
        end: end.parse().unwrap(),
        zone: zone.parse().unwrap(),
    }
}

fn interval(seconds: u64) -> Trigger {
    Trigger::Interval { every: Duration::from_secs(seconds) }
}

fn schedule(trigger: Trigger) -> Schedule {
    Schedule::new("nightly", SetName::new("etcd/prod").unwrap(), Action::Backup, trigger)
}

/// A service: keeps the jobs that it was given, over restarts.
struct Jobs {
    clock: Arc<VirtualClock>,
    fired: Mutex<Vec<(DateTime<Utc>, JobId)>>,
    /// Accepted, before or after the answer was lost.
    known: Mutex<BTreeSet<JobId>>,
    busy: AtomicBool,
    failing: AtomicU64,
    /// Accepts, and dies before it can say so.
    loses_answers: AtomicBool,
}

#[async_trait]
impl Fire for Jobs {
    async fn fire(&self, _schedule: &Schedule, job: &JobId) -> Result<Fired> {
        if self.busy.load(Ordering::Relaxed) {
            return Ok(Fired::Busy);
        }
        if self.failing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return Err(Error::new(&codes::STORE_UNAVAILABLE, "the service is ill"));
        }
        if lock(&self.known).insert(job.clone()) {
            lock(&self.fired).push((self.clock.now(), job.clone()));
        }
        if self.loses_answers.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        Ok(Fired::Accepted)
    }

    async fn knows(&self, job: &JobId) -> Result<bool> {
        Ok(lock(&self.known).contains(job))
    }
}

struct World {
    state: MemoryState,
    clock: Arc<VirtualClock>,
    environment: Environment,
    jobs: Arc<Jobs>,
}

impl World {
    fn at(start: &str) -> Self {
        let clock = Arc::new(VirtualClock::new(utc(start)));
        let environment = Environment::new(clock.clone(), Arc::new(SeededRandom::new(1)));
        let jobs = Jobs {
            clock: clock.clone(),
            fired: Mutex::default(),
            known: Mutex::default(),
            busy: AtomicBool::new(false),
            failing: AtomicU64::new(0),
            loses_answers: AtomicBool::new(false),
        };
        Self { state: MemoryState::new(), clock, environment, jobs: Arc::new(jobs) }
    }

    async fn start(&self, schedule: &Schedule) -> Scheduler {
        let scheduler = Scheduler::start(Arc::new(self.state.clone()), self.environment.clone(), self.jobs.clone());
        scheduler.set(schedule.clone()).unwrap();
        self.clock.pass(Duration::ZERO).await;
        scheduler
    }

    /// The process dies, and the next one begins.
    async fn restart(&mut self, scheduler: Scheduler, schedule: &Schedule) -> Scheduler {
        self.die(scheduler).await;
        self.start(schedule).await
    }

    async fn die(&mut self, scheduler: Scheduler) {
        self.state = self.state.restart();
        drop(scheduler);
        self.clock.pass(Duration::ZERO).await;
    }

    /// Lets time pass up to `until`. Jobs end within a minute.
    async fn run_until(&self, scheduler: &Scheduler, until: &str) {
        self.run_all(&[scheduler], utc(until)).await;
    }

    async fn run_all(&self, schedulers: &[&Scheduler], until: DateTime<Utc>) {
        while self.clock.now() < until {
            let left = (until - self.clock.now()).to_std().unwrap();
            self.clock.pass(left.min(Duration::from_secs(60))).await;
            for scheduler in schedulers {
                self.end(scheduler).await;
            }
            // At once to where the next one is near: nothing is due in between.
            let next = schedulers.iter().flat_map(|scheduler| scheduler.next_runs()).map(|run| run.at).min();
            let near = next.unwrap_or(until).min(until) - TimeDelta::seconds(90);
            if let Ok(leap) = (near - self.clock.now()).to_std() {
                self.clock.advance(leap);
                self.clock.pass(Duration::ZERO).await;
            }
        }
    }

    /// Like `run_until`, with jobs that do not end.
    async fn wait_until(&self, until: &str) {
        self.clock.pass((utc(until) - self.clock.now()).to_std().unwrap()).await;
    }

    async fn end(&self, scheduler: &Scheduler) {
        let jobs = lock(&self.jobs.fired).clone();
        for (_, job) in jobs {
            scheduler.ended("nightly", &job);
        }
        self.clock.pass(Duration::ZERO).await;
    }

    fn fired(&self) -> Vec<String> {
        lock(&self.jobs.fired).iter().map(|(at, _)| at.format("%dT%H:%M:%S").to_string()).collect()
    }

    fn busy(&self, yes: bool) {
        self.jobs.busy.store(yes, Ordering::Relaxed);
    }
}
