//! What tests of drivers need besides `backup_core::testkit`: [`FaultyProxy`], which stands between a driver and a real server and
//! does to their connections what the test says.
//!
//! Nothing in here is meant for production code.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test kit reports by panicking"
)]

mod proxy;

pub use proxy::{ConnectionFault, Ending, FaultyProxy, Gate, Harm, Reply, RequestFault, Rule, Seen, Which};
