//! [`SimStore`]: an in-memory store that crashes, lies and lags as it is told.

mod gate;
mod inspect;
mod read;
mod state;
mod store;
#[cfg(test)]
pub(in crate::testkit) mod tests;
mod trace;
mod writer;

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::environment::Clock;
use crate::error::Result;
use crate::key::ObjectKey;
use crate::testkit::{FaultPlan, lock};
use state::State;
pub use trace::{CrashMode, Op, OpKind};

/// An in-memory [`Store`](crate::Store) for tests. Clones are the same process on the same store.
///
/// # Behavior
/// Without faults it keeps every promise of the contract; [`store_suite`](super::store_suite) proves it.
///
/// - *Processes*: every operation belongs to the process of its handle. [`SimStore::crash_at`] kills that process at one
///   of its operations, and [`SimStore::restart`] gives the handle of the next process, while the dead one's handles and
///   writers fail for ever. What a dead process did not finish stays as a left-over for `sweep`.
///   [`SimStore::another_process`] gives a second living one.
/// - *Durability*: [`SimStore::crash`] is the crash of the store's machine: all processes die, and objects that are
///   acknowledged but not durable are gone (there are such only after [`SimStore::acknowledge_early`]).
/// - *Faults*: [`SimStore::set_faults`] takes a [`FaultPlan`].
/// - *Time*: `modified` and the age of left-overs are those of the clock given to [`SimStore::new`].
///
/// ```
/// # use backup_core::testkit::{CrashMode, SimStore, test_context, test_environment};
/// # use backup_core::{Bytes, ObjectKey, Store, store::PutOptions};
/// # async fn job(store: &SimStore, cx: &backup_core::JobContext) -> backup_core::Result<()> {
/// #     store.put(cx, &ObjectKey::new("a")?, Bytes::from("x"), PutOptions::if_absent()).await?;
/// #     store.put(cx, &ObjectKey::new("b")?, Bytes::from("y"), PutOptions::if_absent()).await.map(drop)
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// // Crash at every step: run once to count, then once for each operation and mode.
/// let (environment, clock) = test_environment(1);
/// let cx = test_context(&environment);
/// let calm = SimStore::new(clock.clone());
/// job(&calm, &cx).await.unwrap();
/// for n in 1..=calm.op_count() {
///     for mode in CrashMode::ALL {
///         let store = SimStore::new(clock.clone());
///         store.crash_at(n, mode);
///         job(&store, &cx).await.unwrap_err();
///         let store = store.restart();
///         // … recover, then look: b never without a.
///         assert!(store.raw_get("a").is_some() || store.raw_get("b").is_none());
///     }
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct SimStore {
    shared: Arc<Shared>,
    /// Which process this handle belongs to.
    process: usize,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl SimStore {
    /// An empty store whose machine has this clock, and the handle of its first process.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { clock, state: Mutex::new(State::new()) }), process: 0 }
    }

    /// Looks at the state; effects that were on their way and are due arrive first.
    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let now = self.shared.clock.monotonic();
        let mut state = lock(&self.shared.state);
        state.arrive(now);
        look(&mut state)
    }

    /// Replaces the fault plan.
    pub fn set_faults(&self, plan: FaultPlan) {
        self.with(|state| state.faults = plan);
    }

    /// Takes the faults away; what they did stays.
    pub fn clear_faults(&self) {
        self.set_faults(FaultPlan::default());
    }

    /// # Panics
    /// When a rule of the fault plan never fired: then the test did not test what it says.
    pub fn verify_all_faults_exercised(&self) {
        let idle = self.with(|state| state.faults.unexercised());
        assert!(idle.is_empty(), "faults that never happened: {idle:#?}");
    }

    /// Kills this process at its `n`-th operation, counted from 1 (see [`SimStore::op_count`]): that operation and all
    /// after it fail with `store.unavailable`.
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn crash_at(&self, n: u64, mode: CrashMode) {
        assert!(n > 0, "operations are counted from 1");
        self.with(|state| state.processes[self.process].crash_at = Some((n, mode)));
    }

    /// Kills this process now.
    pub fn kill(&self) {
        self.with(|state| state.processes[self.process].dead = true);
    }

    /// Whether this process is dead.
    pub fn is_dead(&self) -> bool {
        self.with(|state| state.processes[self.process].dead)
    }

    /// Kills this process if it still lives, and starts the next one. The handles and writers of the old one fail for
    /// ever; its operations under way no longer take effect.
    #[must_use = "the old handle stays dead"]
    pub fn restart(&self) -> Self {
        self.kill();
        self.another_process()
    }

    /// A further process on the same store.
    #[must_use = "it is the handle of the new process"]
    pub fn another_process(&self) -> Self {
        let process = self.with(State::start_process);
        Self { shared: self.shared.clone(), process }
    }

    /// Crashes the store's machine: every process dies, and what is not durable is gone. Go on with [`SimStore::restart`].
    pub fn crash(&self) {
        self.with(State::crash);
    }

    /// How many operations this process began: each put, opening of a writer, write, finish, abort, head, read, sweep,
    /// each page of a listing and each key of a delete.
    pub fn op_count(&self) -> u64 {
        self.with(|state| state.processes[self.process].ops)
    }

    /// Rogue: from now on puts and finishes are acknowledged before they are durable, so that [`SimStore::crash`] loses
    /// them.
    pub fn acknowledge_early(&self, yes: bool) {
        self.with(|state| state.durable_at_once = !yes);
    }

    /// Gives up [`Capabilities::conditional_create`](crate::store::Capabilities::conditional_create): `if_absent` becomes a look
    /// followed by a write, and others come in between, as with stores that lack a conditional put.
    pub fn without_conditional_create(&self) {
        self.with(|state| state.decides_races = false);
    }

    /// Whether the store itself has to decide `if_absent`; where it cannot, looks and lets others come in between.
    async fn if_absent(&self, key: &ObjectKey, wanted: bool) -> Result<bool> {
        if !wanted || self.with(|state| state.decides_races) {
            return Ok(wanted);
        }
        self.with(|state| state.refuse_if_taken(key))?;
        tokio::task::yield_now().await;
        Ok(false)
    }

    /// Interleaves concurrent operations in another way for each seed: an operation lets others run first now and then.
    pub fn set_jitter(&self, seed: u64) {
        self.with(|state| state.jitter = Some(super::SeededRandom::new(seed)));
    }

    /// How many objects one page of a listing holds, 1000 unless set; each page is an operation.
    pub fn set_list_page(&self, objects: usize) {
        self.with(|state| state.list_page = objects.max(1));
    }

    /// How many bytes one piece of a body holds at most, 256 KiB unless set.
    pub fn set_read_piece(&self, bytes: usize) {
        self.with(|state| state.read_piece = bytes.max(1));
    }

    /// Offers `url/<prefix>` to programs that write by themselves; play such a program with [`SimStore::raw_put`].
    pub fn set_external_location(&self, url: impl Into<String>) {
        let url = url.into();
        self.with(|state| state.external = Some(url));
    }
}

impl fmt::Debug for SimStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (objects, unfinished) = self.with(|state| (state.objects.len(), state.unfinished.len()));
        f.debug_struct("SimStore")
            .field("process", &self.process)
            .field("objects", &objects)
            .field("unfinished", &unfinished)
            .finish_non_exhaustive()
    }
}
