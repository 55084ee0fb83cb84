#![doc = include_str!("../../README.md")]

pub mod config;
pub mod logging;
pub mod quickstart;
