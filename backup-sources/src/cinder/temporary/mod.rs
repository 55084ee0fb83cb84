//! What jobs make at Cinder and take away again: snapshots, volumes, attachments.
//!
//! # Behavior
//! Each snapshot and volume says in its metadata what it is for ([`Mark`]), from its first moment on. A [`Temporaries`] notes what is going to
//! be made before it is asked for, so that nothing is forgotten whose answer was lost; who has one calls [`Temporaries::remove`] on every way
//! out. What a process that is gone left is found again by [`Cinder::leftovers`](super::Cinder::leftovers).
//!
//! ```text
//! mark.rs       what the metadata say
//! create.rs     making something once, also when an answer was lost
//! remove.rs     removing it, while Cinder is restarting too
//! scope.rs      what one job made
//! leftovers.rs  what is left of jobs that are gone
//! ```

mod create;
mod leftovers;
mod mark;
mod remove;
mod scope;

pub(super) use leftovers::half_unmarked;
pub use leftovers::{Leftover, LeftoverKind};
pub(super) use mark::OURS;
pub(super) use mark::check_owner;
pub use mark::{FAILED, JOB, Mark, OWNER, ROLE, Role};
pub(super) use remove::retried;
pub(super) use scope::{CLEANUP, Temporaries};
