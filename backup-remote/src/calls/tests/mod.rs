//! Tests of calls, on a virtual clock.

mod effect;
mod limits;
mod observe;
mod resumed;
mod retry;
mod support;
