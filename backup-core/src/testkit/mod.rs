//! What tests of backup code need: a virtual clock, an in-memory store with faults, and the suites that prove a driver.
//!
//! - [`VirtualClock`], [`SeededRandom`], [`test_environment`], [`test_context`]: time and chance in the test's hand.
//! - [`SimStore`] with a [`FaultPlan`]: a store that crashes, lies and lags as it is told.
//! - [`MemoryState`]: a state that crashes and fails as it is told.
//! - [`store_suite`], [`source_suite`] and [`state_suite`]: every promise of [`Store`](crate::Store), [`Source`](crate::Source) and
//!   [`State`](crate::state::State) as a check that can fail. Run them over a driver of your own.
//! - [`free_port`]: where a real server of a test may listen. [`note_secret`]: what no test may print.
//! - [`write_program`]: a program that a test stands in for.
//! - [`RecordingSink`] and [`MemoryReader`]: the engine's two ends of a source, for driving one without an engine.
//!
//! Nothing in here is meant for production code.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test kit reports by panicking"
)]

mod clock;
mod fault;
mod memory_state;
mod port;
mod program;
mod random;
mod reader;
mod secret;
mod setup;
mod sim;
mod sink;
pub mod source_suite;
pub mod state_suite;
pub mod store_suite;
mod suite;

pub use clock::VirtualClock;
pub use fault::{Fault, FaultPlan, FaultRule};
pub use memory_state::MemoryState;
pub use port::free_port;
pub use program::write_program;
pub use random::SeededRandom;
pub use reader::MemoryReader;
pub use secret::note_secret;
pub use setup::{RecordingObserver, START, test_context, test_environment};
pub use sim::{CrashMode, Op, OpKind, SimStore};
pub use sink::{RecordedArtifact, RecordingSink};
pub use suite::Failure;

/// Locks whatever a panicking check left behind: after one the state is still good to look at.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
