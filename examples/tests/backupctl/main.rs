//! The program as it is installed, over repositories that the library made.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bench;
mod beside;
mod documented;
mod looking;
mod removing;
mod restoring;
mod terminal;
mod usage;
mod verifying;
