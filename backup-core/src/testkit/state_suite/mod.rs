//! The conformance suite of [`State`]: each promise of the contract as a check that can fail.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use backup_core::state::State;
//! use backup_core::testkit::{MemoryState, state_suite};
//!
//! #[derive(Default)]
//! struct Mine(Mutex<MemoryState>);
//!
//! #[backup_core::async_trait]
//! impl state_suite::StateFactory for Mine {
//!     async fn fresh(&self) -> Arc<dyn State> {
//!         *self.0.lock().unwrap() = MemoryState::new();
//!         Arc::new(self.0.lock().unwrap().clone())
//!     }
//!     async fn reopen(&self) -> Arc<dyn State> {
//!         let next = self.0.lock().unwrap().restart();
//!         *self.0.lock().unwrap() = next.clone();
//!         Arc::new(next)
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() {
//!     state_suite::run(&Mine::default()).await;
//! }
//! ```

mod bench;
mod change;
mod lease;
mod range;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;

use crate::state::State;
use crate::testkit::suite::{self, Failure};
use bench::Bench;

/// Makes the states that the suite runs over.
#[async_trait]
pub trait StateFactory: Send + Sync {
    /// A state without values.
    async fn fresh(&self) -> Arc<dyn State>;

    /// The state that was made last, as the next process finds it. The suite has dropped every handle and lease of the
    /// process before.
    async fn reopen(&self) -> Arc<dyn State>;
}

suite::conformance_suite!(
    "state",
    StateFactory,
    [
        change::what_is_set_is_read_back,
        change::what_is_removed_is_gone,
        change::a_change_needs_what_it_expects,
        change::a_version_never_comes_back,
        change::odd_keys_are_kept_apart,
        change::one_of_many_racing_changes_wins,
        change::no_racing_change_is_lost,
        change::a_new_process_finds_what_was_set,
        range::a_range_is_in_byte_order,
        range::a_range_holds_its_prefix_only,
        range::a_range_is_read_in_pieces,
        range::a_long_range_is_whole,
        lease::a_lease_has_one_holder,
        lease::a_dropped_lease_is_given_back,
        lease::one_of_many_racers_gets_the_lease,
        lease::generations_grow,
        lease::generations_grow_over_a_restart,
        lease::a_lease_is_no_value,
    ]
);
