//! The program `tidb-backup` as it is installed, before stand-ins of TiDB and of `br`: no real ones can run where the tests run.
#![cfg(all(feature = "tidb", target_os = "linux"))]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../../backup-sources/tests/support/br.rs"]
mod br;
mod by_program;
mod by_sql;
#[path = "../common/http.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared; each uses a part")]
mod http;
#[path = "../common/process.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared; each uses a part")]
mod process;
mod server;
#[path = "../../../backup-sources/tests/support/tidb.rs"]
mod tidb;
