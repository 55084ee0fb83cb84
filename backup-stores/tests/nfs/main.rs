//! The NFS store on a real server, and with what can go wrong between the two.
#![cfg(feature = "nfs")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test helpers stand outside of the test functions"
)]

mod bench;
mod calls;
mod conformance;
mod connections;
#[path = "../support/ganesha.rs"]
mod ganesha;
mod listing;
mod places;
mod races;
mod restarts;
#[path = "../support/rpc_proxy.rs"]
mod rpc_proxy;
