//! A store on an NFSv3 server.

mod config;

pub use config::NfsConfig;
