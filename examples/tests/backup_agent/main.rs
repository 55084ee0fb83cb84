//! The program `backup-agent`: real scripts, real processes, a real S3 server, a real Swift, a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub, reason = "tests")]

mod agent;
mod attacks;
mod contract;
mod crash;
#[allow(dead_code, reason = "each test uses its own part")]
#[path = "../common/http.rs"]
mod http;
#[cfg(feature = "s3")]
#[path = "../../../backup-stores/tests/support/ministack.rs"]
mod ministack;
#[cfg(all(feature = "s3", feature = "swift"))]
#[path = "../../../backup-stores/tests/support/openstack.rs"]
mod openstack;
#[cfg(feature = "s3")]
#[path = "../../../backup-sources/tests/support/postgres.rs"]
mod postgres;
#[cfg(feature = "s3")]
mod round_trip;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "s3")]
#[path = "../../../backup-stores/tests/support/s3s.rs"]
mod s3s;
mod scripts;
mod sizes;
#[cfg(all(feature = "s3", feature = "swift"))]
mod swift;
#[cfg(all(feature = "s3", feature = "swift"))]
mod unfinished;

/// True when the full sizes are asked for.
fn long() -> bool {
    std::env::var_os("BACKUP_TEST_LONG").is_some_and(|value| value == "1")
}
