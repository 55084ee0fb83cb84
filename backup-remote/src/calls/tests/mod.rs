//! Tests of calls, on a virtual clock.

mod resumed;
