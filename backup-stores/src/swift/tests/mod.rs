//! Tests of what needs no server.

mod answers;
mod configuration;
mod names;
