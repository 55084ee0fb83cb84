//! The surroundings of a test: environment, job context, observer.

use std::sync::{Arc, Mutex};

use super::{SeededRandom, VirtualClock, lock};
use crate::context::JobContext;
use crate::environment::Environment;
use crate::event::{Event, Observer};

/// When every test begins, unless it says otherwise.
pub const START: &str = "2026-11-21T09:30:00Z";

/// A clock that stands at [`START`] until it is advanced, and random numbers of `seed`.
pub fn test_environment(seed: u64) -> (Environment, Arc<VirtualClock>) {
    let clock = Arc::new(VirtualClock::new(START.parse().expect("START is a date")));
    (Environment::new(clock.clone(), Arc::new(SeededRandom::new(seed))), clock)
}

/// A new job in `environment` whose events nobody reads.
pub fn test_context(environment: &Environment) -> JobContext {
    JobContext::new(environment.clone(), Arc::new(RecordingObserver::default()))
}

/// Keeps the events of jobs.
#[derive(Debug, Default)]
pub struct RecordingObserver(Mutex<Vec<Event>>);

impl RecordingObserver {
    /// All events so far.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.0).clone()
    }
}

impl Observer for RecordingObserver {
    fn event(&self, _cx: &JobContext, event: &Event) {
        lock(&self.0).push(event.clone());
    }
}
