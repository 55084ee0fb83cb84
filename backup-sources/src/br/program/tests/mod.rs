//! The executor against a stand-in of `br`, which leaves real files, log lines and exit codes, and one of PD.

mod failures;
mod flood;
mod leftovers;
mod orders;
mod stopped;
#[path = "../../../../tests/support/br.rs"]
mod support;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backup_core::event::{Event, Observer};
use backup_core::store::ExternalLocation;
use backup_core::{Environment, JobContext};

use super::ProgramExecutor;
use crate::br::config::{ProgramConfig, Tuning};
use crate::br::executor::Order;
use support::{StandIn, StandInPd};

/// A stand-in, PD, and an executor over both.
struct Setup {
    br: StandIn,
    pd: StandInPd,
    executor: ProgramExecutor,
}

impl Setup {
    async fn new() -> Self {
        let (br, pd) = (StandIn::new(), StandInPd::start().await);
        let executor = ProgramExecutor::new(&config(&br, &pd.address)).unwrap();
        Self { br, pd, executor }
    }

    /// A place in the stand-in's directory.
    fn place(&self, name: &str) -> PathBuf {
        self.br.path(name)
    }

    fn order(&self, name: &str) -> Order {
        order(&self.br, name)
    }

    /// Nothing of a run is left: no note, no key.
    fn assert_forgotten(&self) {
        let notes = notes(&self.br);
        assert_eq!(notes, Vec::<PathBuf>::new());
    }
}

fn config(br: &StandIn, pd: &str) -> ProgramConfig {
    let mut config: ProgramConfig = serde_json::from_value(serde_json::json!({ "pd": [pd] })).unwrap();
    (config.binary, config.notes) = (br.binary(), br.path("notes"));
    config.grace = Duration::from_secs(20);
    config
}

fn order(br: &StandIn, name: &str) -> Order {
    let location = ExternalLocation::new(format!("file://{}", br.path(name).display()));
    Order { location, since: None, tuning: Tuning::default(), encryption: None }
}

fn notes(br: &StandIn) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(br.path("notes")).map(|entries| entries.map(|entry| entry.unwrap().path()).collect());
    entries.unwrap_or_default()
}

/// Keeps what it is told.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Vec<Event>>>);

impl Observer for Told {
    fn event(&self, _: &JobContext, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Told {
    fn cx(&self) -> JobContext {
        JobContext::new(Environment::default(), Arc::new(self.clone()))
    }

    fn steps(&self) -> Vec<(String, Option<u8>)> {
        let step = |event: &Event| match event {
            Event::Step { name, percent } => (name.clone(), *percent),
            other => unreachable!("{other:?}"),
        };
        self.0.lock().unwrap().iter().map(step).collect()
    }
}

fn cx() -> JobContext {
    Told::default().cx()
}
