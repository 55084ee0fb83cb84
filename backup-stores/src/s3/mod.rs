//! A store on a server that speaks S3.

mod config;

pub use config::S3Config;
