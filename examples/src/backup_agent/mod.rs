//! The program `backup-agent`: see `docs/backup-agent.md`.

mod config;
mod download;
mod failures;
mod job;
mod place;
mod run;
mod unfinished;
mod upload;
mod work;

use std::process::ExitCode;

use backup_core::ErrorKind;

pub use config::Config;
pub use work::Scripts;

const PROGRAM: &str = "backup-agent";

/// A wrong argument or configuration, as clap ends for the former.
const USAGE: u8 = 2;

/// Runs the program with the environment of this process.
pub fn main() -> ExitCode {
    let about = "Backs up and restores databases by scripts, in place of the backup agent of osb-backup; configured by environment variables";
    clap::Command::new(PROGRAM).version(env!("CARGO_PKG_VERSION")).about(about).get_matches();
    crate::logging::init("info");
    let ended = Config::from_env().and_then(|config| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let failed =
            |error| backup_core::Error::new(&backup_core::error::codes::INTERNAL, "no threads can be started").with_source(error);
        let runtime = runtime.map_err(failed)?;
        let ended = runtime.block_on(run::run(config));
        // Nothing that is left may keep the process from ending.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(if error.kind() == ErrorKind::InvalidInput { USAGE } else { 1 })
        }
    }
}
