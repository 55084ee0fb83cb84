//! What every server of this crate is made of: from a configuration to a running process, and to its end.
//!
//! A program says what is its own in a [`Plan`]; [`main`] does the rest.
//!
//! # Behavior
//! `PROGRAM --config FILE`. Logs go to standard error; `RUST_LOG` says which. SIGTERM and SIGINT end it gracefully: nothing more is accepted,
//! running jobs and open requests get the grace period, then they are cancelled, and all is recorded. A second signal ends it at once, which
//! costs no published backup.
//!
//! Exit codes: 0 after a graceful end, 1 when it could not start or go on, 2 for wrong arguments or a wrong configuration.

mod calls;
mod http;
mod janitor;
mod main;
mod plan;
mod run;
mod signals;
mod store;

pub(crate) use calls::{MeasuredCalls, metrics};
pub use http::HttpConfig;
pub use main::main;
pub use plan::{Dialect, Parts, Plan};
pub(crate) use signals::Signals;
