//! The floor under every driver that talks to a remote service. It knows neither stores nor sources.
//!
//! | feature | what it is |
//! |---|---|
//! | (always) | [`Calls`]: retries, time limits, limits of parallel calls and of bandwidth, in the one right order |
//! | `http` | `http::Http`: an HTTP client on those calls |
//! | `keystone` | tokens and the catalogue of OpenStack's Keystone |
//! | `testkit` | a proxy that breaks connections and answers as it is told |

mod calls;
pub mod codes;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "keystone")]
pub mod keystone;
#[cfg(test)]
mod test_server;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use calls::{Attempt, ByteStream, Call, CallLimits, CallObserver, CallRecord, Calls, Failure, Repeat};
