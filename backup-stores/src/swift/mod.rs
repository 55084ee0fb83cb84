//! A store on OpenStack Swift.

mod config;

pub use config::SwiftConfig;
