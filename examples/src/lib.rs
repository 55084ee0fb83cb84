#![doc = include_str!("../../README.md")]

pub mod backupctl;
pub mod config;
pub mod logging;
pub mod quickstart;
