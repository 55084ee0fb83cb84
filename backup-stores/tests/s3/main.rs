//! The S3 store on a real server, and through a proxy that breaks what it is told to.

#![cfg(feature = "s3")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test helpers stand outside of the test functions"
)]

#[path = "../support/ministack.rs"]
mod ministack;
#[path = "../support/s3s.rs"]
mod s3s;

mod ambiguous;
mod bench;
mod credentials;
mod faults;
mod headers;
mod keys;
mod opening;
mod parts;
mod restart;
mod second_opinion;
mod sweeping;
mod tls;
