//! The S3 store on a real server, and through a proxy that breaks what it is told to.

#![cfg(feature = "s3")]

#[path = "../support/ministack.rs"]
mod ministack;

mod ambiguous;
mod bench;
mod credentials;
mod faults;
mod headers;
mod keys;
mod opening;
mod parts;
mod restart;
mod sweeping;
