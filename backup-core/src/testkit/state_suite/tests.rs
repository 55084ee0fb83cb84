//! The suite passes a good state and fails each bad one, for the promise that it breaks.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::*;
use crate::error::Result;
use crate::lease::Lease;
use crate::state::{Entry, Expected};
use crate::testkit::{CrashMode, MemoryState, lock};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Defect {
    Nothing,
    IgnoresExpected,
    SplitsChanges,
    RemovesNothing,
    VersionsPerKey,
    FoldsCase,
    LosesAll,
    Reversed,
    PrefixWithoutEnd,
    IgnoresAfter,
    IgnoresLimit,
    LeasesToAll,
    LeasesForEver,
    LeasesAreValues,
    GenerationStays,
    GenerationStartsAnew,
}

use Defect::*;

/// A state with one defect.
#[derive(Debug)]
struct Broken {
    inner: MemoryState,
    defect: Defect,
    leases: AtomicU64,
}

/// A lease whose generation counts from elsewhere.
#[derive(Debug)]
struct Numbered(Box<dyn Lease>, u64);

#[async_trait]
impl Lease for Numbered {
    fn generation(&self) -> u64 {
        self.1
    }

    async fn still_held(&self) -> Result<()> {
        self.0.still_held().await
    }
}

impl Broken {
    fn key(&self, key: &str) -> String {
        if self.defect == FoldsCase { key.to_lowercase() } else { key.to_owned() }
    }
}

#[async_trait]
impl State for Broken {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        let entry = self.inner.get(&self.key(key)).await?;
        let folded = |entry: Entry| Entry { version: entry.value.len() as u64, ..entry };
        Ok(if self.defect == VersionsPerKey { entry.map(folded) } else { entry })
    }

    async fn compare_and_set(&self, key: &str, expected: Expected, value: Option<Bytes>) -> Result<bool> {
        let key = &self.key(key);
        if self.defect == IgnoresExpected || self.defect == VersionsPerKey {
            return self.inner.compare_and_set(key, Expected::Any, value).await;
        }
        if self.defect == RemovesNothing && value.is_none() {
            return Ok(true);
        }
        if self.defect == SplitsChanges {
            let version = self.inner.get(key).await?.map(|entry| entry.version);
            tokio::task::yield_now().await;
            return if expected.holds(version) { self.inner.compare_and_set(key, Expected::Any, value).await } else { Ok(false) };
        }
        self.inner.compare_and_set(key, expected, value).await
    }

    async fn range(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(String, Entry)>> {
        let prefix = if self.defect == PrefixWithoutEnd { prefix.trim_end_matches('/') } else { prefix };
        let after = after.filter(|_| self.defect != IgnoresAfter);
        let limit = if self.defect == IgnoresLimit { usize::MAX } else { limit };
        let mut entries = self.inner.range(prefix, after, limit).await?;
        if self.defect == Reversed {
            entries.reverse();
        }
        Ok(entries)
    }

    async fn lease(&self, name: &str) -> Result<Option<Box<dyn Lease>>> {
        let count = self.leases.fetch_add(1, Ordering::Relaxed) + 1;
        if self.defect == LeasesAreValues {
            self.inner.compare_and_set(name, Expected::Any, Some(Bytes::from("held"))).await?;
        }
        let name = if self.defect == LeasesToAll { format!("{name}-{count}") } else { name.to_owned() };
        let Some(lease) = self.inner.lease(&name).await? else { return Ok(None) };
        Ok(Some(match self.defect {
            LeasesForEver => {
                let held: &'static dyn Lease = Box::leak(lease);
                Box::new(Numbered(Box::new(Kept(held)), count))
            }
            GenerationStays => Box::new(Numbered(lease, 1)),
            GenerationStartsAnew => Box::new(Numbered(lease, count)),
            _ => lease,
        }))
    }
}

/// A lease that is never given back.
#[derive(Debug)]
struct Kept(&'static dyn Lease);

#[async_trait]
impl Lease for Kept {
    fn generation(&self) -> u64 {
        self.0.generation()
    }

    async fn still_held(&self) -> Result<()> {
        self.0.still_held().await
    }
}

struct Factory {
    defect: Defect,
    last: Mutex<MemoryState>,
}

impl Factory {
    fn new(defect: Defect) -> Self {
        Self { defect, last: Mutex::new(MemoryState::new()) }
    }

    fn hand_out(&self, state: MemoryState) -> Arc<dyn State> {
        *lock(&self.last) = state.clone();
        Arc::new(Broken { inner: state, defect: self.defect, leases: AtomicU64::new(0) })
    }
}

#[async_trait]
impl StateFactory for Factory {
    async fn fresh(&self) -> Arc<dyn State> {
        self.hand_out(MemoryState::new())
    }

    async fn reopen(&self) -> Arc<dyn State> {
        let next = if self.defect == LosesAll { MemoryState::new() } else { lock(&self.last).restart() };
        self.hand_out(next)
    }
}

async fn found_by(defect: Defect, name: &str) {
    let check = checks().iter().find(|check| check.name == name).unwrap();
    let failure = attempt(check, &Factory::new(defect)).await.unwrap_or_else(|| panic!("{name} must fail"));
    assert!(!failure.message.contains("no end after"), "{name} must fail, not hang");
}

#[tokio::test]
async fn memory_state_keeps_every_promise() {
    run(&Factory::new(Defect::Nothing)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_state_keeps_every_promise_on_many_threads() {
    run(&Factory::new(Defect::Nothing)).await;
}

macro_rules! each_defect_is_found {
    ($($test:ident: $defect:ident by $check:literal;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                found_by($defect, $check).await;
            }
        )*
    };
}

each_defect_is_found! {
    finds_changes_that_expect_nothing: IgnoresExpected by "a_change_needs_what_it_expects";
    finds_races_that_two_changes_win: SplitsChanges by "one_of_many_racing_changes_wins";
    finds_lost_changes: SplitsChanges by "no_racing_change_is_lost";
    finds_removals_that_do_nothing: RemovesNothing by "what_is_removed_is_gone";
    finds_versions_that_come_back: VersionsPerKey by "a_version_never_comes_back";
    finds_keys_folded_to_lower_case: FoldsCase by "odd_keys_are_kept_apart";
    finds_states_that_are_not_durable: LosesAll by "a_new_process_finds_what_was_set";
    finds_unordered_ranges: Reversed by "a_range_is_in_byte_order";
    finds_prefixes_without_a_border: PrefixWithoutEnd by "a_range_holds_its_prefix_only";
    finds_an_ignored_start: IgnoresAfter by "a_range_is_read_in_pieces";
    finds_an_ignored_limit: IgnoresLimit by "a_range_is_read_in_pieces";
    finds_leases_with_two_holders: LeasesToAll by "a_lease_has_one_holder";
    finds_leases_that_many_racers_get: LeasesToAll by "one_of_many_racers_gets_the_lease";
    finds_leases_that_are_never_given_back: LeasesForEver by "a_dropped_lease_is_given_back";
    finds_leases_among_the_values: LeasesAreValues by "a_lease_is_no_value";
    finds_generations_that_stay: GenerationStays by "generations_grow";
    finds_generations_that_start_anew: GenerationStartsAnew by "generations_grow_over_a_restart";
}

#[tokio::test]
async fn a_killed_process_gives_back_its_leases_and_its_handles_fail() {
    let state = MemoryState::new();
    let lease = state.lease("a").await.unwrap().unwrap();
    let replica = state.another_process();
    assert!(replica.lease("a").await.unwrap().is_none());
    let next = state.restart();
    assert_eq!(lease.still_held().await.unwrap_err().code().name, "lease.lost");
    let again = replica.lease("a").await.unwrap().unwrap();
    drop(lease);
    again.still_held().await.unwrap();
    assert_eq!(state.get("k").await.unwrap_err().code().name, "state.unavailable");
    assert!(next.get("k").await.unwrap().is_none());
}

#[tokio::test]
async fn faults_come_as_told() {
    let state = MemoryState::new();
    state.fail_next(2);
    assert!(state.get("k").await.is_err() && state.lease("k").await.is_err() && state.get("k").await.is_ok());
    let set = |state: &MemoryState, value: &'static str| {
        let state = state.clone();
        async move { state.compare_and_set("k", Expected::Any, Some(Bytes::from(value))).await }
    };
    state.lose_answers(1);
    assert_eq!(set(&state, "lost").await.unwrap_err().effect(), crate::error::Effect::Unknown);
    assert_eq!(state.get("k").await.unwrap().unwrap().value, "lost");
    for (mode, value) in [(CrashMode::BeforeEffect, "lost"), (CrashMode::AfterEffect, "after")] {
        let process = state.another_process();
        process.crash_at(1, mode);
        assert!(set(&process, "after").await.is_err() && process.is_dead());
        assert_eq!(state.get("k").await.unwrap().unwrap().value, value, "{mode:?}");
    }
}
