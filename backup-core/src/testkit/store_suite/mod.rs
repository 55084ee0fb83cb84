//! The conformance suite of [`Store`]: each promise of the contract as a check that can fail.
//!
//! ```
//! use std::sync::Arc;
//! use backup_core::testkit::{SimStore, VirtualClock, store_suite, test_environment};
//! use backup_core::{Environment, Store};
//!
//! struct Mine(Environment, Arc<VirtualClock>);
//!
//! #[backup_core::async_trait]
//! impl store_suite::StoreFactory for Mine {
//!     async fn fresh(&self) -> Arc<dyn Store> {
//!         Arc::new(SimStore::new(self.1.clone()))
//!     }
//!     fn environment(&self) -> Environment {
//!         self.0.clone()
//!     }
//! }
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() {
//!     let (environment, clock) = test_environment(1);
//!     store_suite::run(&Mine(environment, clock)).await;
//! }
//! ```

mod bench;
mod cancel;
mod delete;
mod list;
mod put;
mod race;
mod read;
mod sweep;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;

use crate::environment::Environment;
use crate::store::Store;
use crate::testkit::suite::{self, Failure};
use bench::Bench;

/// Makes the stores that the suite runs over.
#[async_trait]
pub trait StoreFactory: Send + Sync {
    /// A store that holds no objects.
    async fn fresh(&self) -> Arc<dyn Store>;

    /// A second handle of the store that [`StoreFactory::fresh`] made last, as a new process would open it. `None` skips the
    /// checks that need one.
    async fn reopen(&self) -> Option<Arc<dyn Store>> {
        None
    }

    /// How many unfinished writes lie in the store that [`StoreFactory::fresh`] made last, looked up behind the store's back.
    /// `None` leaves out that part of the checks.
    async fn unfinished(&self) -> Option<usize> {
        None
    }

    /// The clock and random numbers that the job contexts of the suite carry.
    ///
    /// Its wall clock shall be within ten minutes of the one that dates the store's unfinished writes.
    fn environment(&self) -> Environment {
        Environment::default()
    }

    /// Whether both `a` and `a/b` can exist. A plain file tree cannot do that; it must then refuse the second aloud.
    fn objects_below_objects(&self) -> bool {
        true
    }
}

suite::conformance_suite!(
    "store",
    StoreFactory,
    [
        put::what_is_put_is_read_back,
        put::put_if_absent_never_replaces,
        put::odd_keys_are_kept_apart,
        put::objects_below_objects,
        put::locked_objects_are_not_removed,
        writer::a_writer_is_invisible_until_finished,
        writer::written_bytes_are_the_object,
        writer::a_writer_with_if_absent_never_replaces,
        writer::abort_leaves_nothing,
        writer::writers_are_independent,
        writer::a_dropped_write_latches_the_writer,
        writer::what_is_finished_is_there_for_a_new_process,
        race::one_of_many_racing_puts_wins,
        race::one_of_many_racing_writers_wins,
        read::ranges_are_cut_at_the_end,
        read::what_is_missing_is_not_found,
        read::a_body_outlives_its_store_handle,
        read::a_body_is_whole_or_an_error_when_the_object_is_deleted,
        list::listings_are_in_byte_order,
        list::a_prefix_ends_at_a_segment,
        list::listings_start_after_a_key,
        list::long_listings_are_whole,
        delete::delete_says_what_it_did,
        cancel::a_cancelled_job_has_no_effect,
        cancel::an_expired_job_has_no_effect,
        cancel::a_writer_can_be_aborted_after_a_cancel,
        sweep::sweep_removes_old_left_overs,
        sweep::sweep_keeps_what_has_an_owner_or_is_young,
        sweep::sweep_never_touches_objects,
    ]
);
