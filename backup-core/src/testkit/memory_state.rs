//! A state in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use super::{CrashMode, lock};
use crate::error::{Code, Effect, Error, ErrorKind, Result, Retry, codes};
use crate::lease::Lease;
use crate::state::{Entry, Expected, State};

static UNAVAILABLE: Code = Code {
    name: "state.unavailable",
    kind: ErrorKind::Unavailable,
    retry: Retry::Later,
    meaning: "The state did not answer.",
    action: "Check that it is up and reachable, then try again.",
};

/// An in-memory [`State`] for tests. Clones are the same process on the same state.
///
/// # Behavior
/// Without faults it keeps every promise of the contract; [`state_suite`](super::state_suite) proves it.
///
/// - *Processes*: [`MemoryState::crash_at`] kills the process of this handle at one of its changes; [`MemoryState::restart`] gives the
///   handle of the next process: values are kept, the dead one's leases are given back, and its handles fail for ever.
///   [`MemoryState::another_process`] gives a second living one, as another replica.
/// - *Faults*: [`MemoryState::fail_next`] and [`MemoryState::lose_answers`].
#[derive(Debug, Clone)]
pub struct MemoryState {
    shared: Arc<Mutex<Shared>>,
    process: usize,
}

#[derive(Debug)]
struct Shared {
    entries: BTreeMap<String, Entry>,
    last_version: u64,
    leases: BTreeMap<String, Holder>,
    processes: Vec<Process>,
}

#[derive(Debug, Default)]
struct Holder {
    generation: u64,
    process: Option<usize>,
}

#[derive(Debug, Default)]
struct Process {
    dead: bool,
    changes: u64,
    crash_at: Option<(u64, CrashMode)>,
    failing: u64,
    losing: u64,
}

impl MemoryState {
    /// An empty state.
    pub fn new() -> Self {
        let shared =
            Shared { entries: BTreeMap::new(), last_version: 0, leases: BTreeMap::new(), processes: vec![Process::default()] };
        Self { shared: Arc::new(Mutex::new(shared)), process: 0 }
    }

    /// Kills this process, and gives the handle of the next one.
    #[must_use = "it is the handle of the new process"]
    pub fn restart(&self) -> Self {
        lock(&self.shared).kill(self.process);
        self.another_process()
    }

    /// A further process on the same state.
    #[must_use = "it is the handle of the new process"]
    pub fn another_process(&self) -> Self {
        let mut shared = lock(&self.shared);
        shared.processes.push(Process::default());
        let process = shared.processes.len() - 1;
        drop(shared);
        Self { shared: self.shared.clone(), process }
    }

    /// Kills this process at the `n`th change from now, counted from 1: before it is made, or after, before anybody hears of it.
    pub fn crash_at(&self, n: u64, mode: CrashMode) {
        assert!(n > 0, "changes are counted from 1");
        self.with(|process| process.crash_at = Some((process.changes + n, mode)));
    }

    /// Whether this process is dead.
    pub fn is_dead(&self) -> bool {
        self.with(|process| process.dead)
    }

    /// How many changes this process has asked for, those included that did not happen.
    pub fn changes(&self) -> u64 {
        self.with(|process| process.changes)
    }

    /// Lets the next `calls` calls of this process fail without an effect. 0 ends it.
    pub fn fail_next(&self, calls: u64) {
        self.with(|process| process.failing = calls);
    }

    /// Lets the next `changes` changes of this process happen and fail all the same, with an unknown effect. 0 ends it.
    pub fn lose_answers(&self, changes: u64) {
        self.with(|process| process.losing = changes);
    }

    fn with<T>(&self, look: impl FnOnce(&mut Process) -> T) -> T {
        look(&mut lock(&self.shared).processes[self.process])
    }

    /// Decides whether a call of this process takes place.
    fn admit(&self) -> Result<()> {
        self.with(|process| {
            if process.dead {
                return Err(Error::new(&UNAVAILABLE, "the process of this state handle was killed"));
            }
            if process.failing > 0 {
                process.failing -= 1;
                return Err(Error::new(&UNAVAILABLE, "the test lets this call of the state fail"));
            }
            Ok(())
        })
    }
}

impl Default for MemoryState {
    fn default() -> Self {
        Self::new()
    }
}

impl Shared {
    fn kill(&mut self, process: usize) {
        self.processes[process].dead = true;
        for holder in self.leases.values_mut().filter(|holder| holder.process == Some(process)) {
            holder.process = None;
        }
    }

    fn change(&mut self, key: &str, expected: Expected, value: Option<Bytes>) -> bool {
        let holds = expected.holds(self.entries.get(key).map(|entry| entry.version));
        if holds {
            match value {
                Some(value) => {
                    self.last_version += 1;
                    self.entries.insert(key.to_owned(), Entry { version: self.last_version, value });
                }
                None => drop(self.entries.remove(key)),
            }
        }
        holds
    }
}

#[async_trait]
impl State for MemoryState {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        self.admit()?;
        Ok(lock(&self.shared).entries.get(key).cloned())
    }

    async fn compare_and_set(&self, key: &str, expected: Expected, value: Option<Bytes>) -> Result<bool> {
        self.admit()?;
        let unknown = |what| Err(Error::new(&UNAVAILABLE, what).with_effect(Effect::Unknown));
        let shared = &mut *lock(&self.shared);
        let process = &mut shared.processes[self.process];
        process.changes += 1;
        let number = process.changes;
        let crash = process.crash_at.filter(|(n, _)| *n == number).map(|(_, mode)| mode);
        let lost = process.losing > 0;
        process.losing = process.losing.saturating_sub(1);
        if crash == Some(CrashMode::BeforeEffect) {
            shared.kill(self.process);
            return unknown("the process was killed before this change");
        }
        let changed = shared.change(key, expected, value);
        if crash == Some(CrashMode::AfterEffect) {
            shared.kill(self.process);
            return unknown("the process was killed after this change");
        }
        if lost { unknown("the test loses the answer of this change") } else { Ok(changed) }
    }

    async fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        self.admit()?;
        let shared = lock(&self.shared);
        let from = after.unwrap_or_default().max(prefix).to_owned();
        let entries = shared.entries.range(from..).skip_while(|(key, _)| after.is_some_and(|after| key.as_str() <= after));
        let entries = entries.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(entries.map(|(key, entry)| (key.clone(), entry.clone())).collect())
    }

    async fn lease(&self, name: &str) -> Result<Option<Box<dyn Lease>>> {
        self.admit()?;
        let mut shared = lock(&self.shared);
        let holder = shared.leases.entry(name.to_owned()).or_default();
        if holder.process.is_some() {
            return Ok(None);
        }
        *holder = Holder { generation: holder.generation + 1, process: Some(self.process) };
        let lease = MemoryLease { state: self.clone(), name: name.to_owned(), generation: holder.generation };
        Ok(Some(Box::new(lease)))
    }
}

#[derive(Debug)]
struct MemoryLease {
    state: MemoryState,
    name: String,
    generation: u64,
}

impl MemoryLease {
    fn is_mine(&self, holder: &Holder) -> bool {
        holder.process == Some(self.state.process) && holder.generation == self.generation
    }
}

#[async_trait]
impl Lease for MemoryLease {
    fn generation(&self) -> u64 {
        self.generation
    }

    async fn still_held(&self) -> Result<()> {
        if lock(&self.state.shared).leases.get(&self.name).is_some_and(|holder| self.is_mine(holder)) {
            return Ok(());
        }
        Err(Error::new(&codes::LEASE_LOST, format!("another process may hold the lease {} by now", self.name)))
    }
}

impl Drop for MemoryLease {
    fn drop(&mut self) {
        let mut shared = lock(&self.state.shared);
        if let Some(holder) = shared.leases.get_mut(&self.name)
            && self.is_mine(holder)
        {
            holder.process = None;
        }
    }
}
