//! Logs of the programs: to standard error, one line each.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Writes logs to standard error from now on. `RUST_LOG` says which; `default` when it is unset or cannot be read.
///
/// A second call does nothing.
pub fn init(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let logs = tracing_subscriber::fmt().compact().with_env_filter(filter).with_writer(std::io::stderr);
    let _second = logs.with_ansi(std::io::stderr().is_terminal()).try_init();
}
