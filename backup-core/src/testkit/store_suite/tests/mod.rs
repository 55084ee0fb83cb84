//! The suite passes a good store and fails each bad one, for the promise that it breaks.

mod broken;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures::FutureExt;

use super::*;
use crate::testkit::{Fault, FaultPlan, FaultRule, SimStore, VirtualClock, lock, test_environment};
use broken::{Broken, Defect};

struct SimFactory {
    environment: Environment,
    clock: Arc<VirtualClock>,
    jitter: Option<u64>,
    faults: fn() -> FaultPlan,
    defect: Option<Defect>,
    last: Mutex<Option<SimStore>>,
}

impl SimFactory {
    fn good() -> Self {
        let (environment, clock) = test_environment(1);
        Self { environment, clock, jitter: None, faults: FaultPlan::default, defect: None, last: Mutex::new(None) }
    }

    fn with_faults(faults: fn() -> FaultPlan) -> Self {
        Self { faults, ..Self::good() }
    }

    fn broken(defect: Defect) -> Self {
        Self { defect: Some(defect), ..Self::good() }
    }
}

#[async_trait]
impl StoreFactory for SimFactory {
    async fn fresh(&self) -> Arc<dyn Store> {
        let store = SimStore::new(self.clock.clone());
        store.set_faults((self.faults)());
        if let Some(seed) = self.jitter {
            store.set_jitter(seed);
        }
        *lock(&self.last) = Some(store.clone());
        match self.defect {
            None => Arc::new(store),
            Some(defect) => Arc::new(Broken { inner: store, defect }),
        }
    }

    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        let store = lock(&self.last).as_ref().map(SimStore::restart);
        store.map(|store| Arc::new(store) as Arc<dyn Store>)
    }

    async fn unfinished(&self) -> Option<usize> {
        lock(&self.last).as_ref().map(SimStore::unfinished)
    }

    fn environment(&self) -> Environment {
        self.environment.clone()
    }
}

/// The suite finds this defect with this check.
async fn found_by(factory: SimFactory, name: &str) {
    let check = checks().iter().find(|check| check.name == name).unwrap();
    let failure = attempt(check, &factory).await.unwrap_or_else(|| panic!("{name} must fail"));
    assert!(!failure.message.contains("no end after"), "{name} must fail, not hang");
}

#[tokio::test]
async fn sim_store_keeps_every_promise() {
    run(&SimFactory::good()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sim_store_keeps_every_promise_however_calls_interleave() {
    for seed in 1..4 {
        run(&SimFactory { jitter: Some(seed), ..SimFactory::good() }).await;
    }
}

#[tokio::test]
async fn a_check_can_be_run_by_its_name_and_its_panic_names_the_promise() {
    run_one("delete_says_what_it_did", &SimFactory::good()).await;
    let factory = SimFactory::broken(Defect::PutOverwrites);
    let failing = AssertUnwindSafe(run_one("put_if_absent_never_replaces", &factory)).catch_unwind().await;
    let text = suite::panic_text(&*failing.unwrap_err());
    assert!(text.contains("put_if_absent_never_replaces: put with if_absent of a taken key must fail"), "{text}");
}

macro_rules! each_defect_is_found {
    ($($test:ident: $defect:ident by $check:literal;)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                found_by(SimFactory::broken(Defect::$defect), $check).await;
            }
        )*
    };
}

each_defect_is_found! {
    finds_writes_visible_before_finish: VisibleBeforeFinish by "a_writer_is_invisible_until_finished";
    finds_puts_that_overwrite: PutOverwrites by "put_if_absent_never_replaces";
    finds_races_that_two_puts_win: PutOverwrites by "one_of_many_racing_puts_wins";
    finds_writers_that_overwrite: WriterOverwrites by "a_writer_with_if_absent_never_replaces";
    finds_races_that_two_writers_win: WriterOverwrites by "one_of_many_racing_writers_wins";
    finds_lost_pieces: LosesTinyWrites by "written_bytes_are_the_object";
    finds_a_wrong_size_of_finish: WrongFinishedSize by "written_bytes_are_the_object";
    finds_aborts_that_do_nothing: AbortKeeps by "abort_leaves_nothing";
    finds_unordered_listings: UnorderedList by "listings_are_in_byte_order";
    finds_directory_order: DirectoryOrder by "listings_are_in_byte_order";
    finds_listings_cut_at_a_page: ListCutAtThousand by "long_listings_are_whole";
    finds_prefixes_without_a_border: PrefixWithoutBorder by "a_prefix_ends_at_a_segment";
    finds_an_ignored_start: IgnoresStartAfter by "listings_start_after_a_key";
    finds_ranges_that_are_ignored: IgnoresRange by "ranges_are_cut_at_the_end";
    finds_empty_answers_behind_the_end: EmptyBehindEnd by "ranges_are_cut_at_the_end";
    finds_swallowed_short_reads: SwallowsReadErrors by "a_body_is_whole_or_an_error_when_the_object_is_deleted";
    finds_deletes_that_lie: DeleteCallsAllDeleted by "delete_says_what_it_did";
    finds_an_ignored_cancel: IgnoresCancel by "a_cancelled_job_has_no_effect";
    finds_an_ignored_deadline: IgnoresCancel by "an_expired_job_has_no_effect";
    finds_sweeps_that_do_nothing: SweepKeepsAll by "sweep_removes_old_left_overs";
    finds_sweeps_without_mercy: SweepIgnoresOwnerAndAge by "sweep_keeps_what_has_an_owner_or_is_young";
    finds_sweeps_of_objects: SweepTakesTmpObjects by "sweep_never_touches_objects";
    finds_keys_folded_to_lower_case: FoldsCase by "odd_keys_are_kept_apart";
    finds_locks_that_do_not_hold: UnlocksOnDelete by "locked_objects_are_not_removed";
    finds_wrong_codes: MissingIsUnavailable by "what_is_missing_is_not_found";
}

#[tokio::test]
async fn finds_silent_short_reads() {
    let faults = || FaultPlan::seeded(1).rule(FaultRule::new(Fault::SilentShortRead(1000)));
    found_by(SimFactory::with_faults(faults), "what_is_put_is_read_back").await;
}

#[tokio::test]
async fn finds_flipped_bits() {
    let faults = || FaultPlan::seeded(1).rule(FaultRule::new(Fault::FlipBitRead { byte: 2_000_000, bit: 3 }));
    found_by(SimFactory::with_faults(faults), "written_bytes_are_the_object").await;
}

#[tokio::test]
async fn finds_lost_updates_and_lagging_listings() {
    let lost = || FaultPlan::seeded(1).rule(FaultRule::new(Fault::LostUpdate).nth(2));
    found_by(SimFactory::with_faults(lost), "what_is_put_is_read_back").await;
    let lag = || FaultPlan::seeded(1).rule(FaultRule::new(Fault::ListLag(1)));
    found_by(SimFactory::with_faults(lag), "what_is_put_is_read_back").await;
}
