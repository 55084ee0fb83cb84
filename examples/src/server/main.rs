//! The `main` of every server.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use backup_core::{ErrorKind, Result};
use clap::{Arg, Command, value_parser};
use serde::de::DeserializeOwned;

use super::{Plan, run};

/// A wrong argument or configuration, as clap ends for the former.
const USAGE: u8 = 2;

/// Runs the program with the arguments of this process: reads the configuration that `--config` names, makes a [`Plan`] of it with
/// `plan`, and carries that out.
pub fn main<C: DeserializeOwned>(program: &'static str, about: &'static str, plan: fn(C) -> Result<Plan>) -> ExitCode {
    let config = Arg::new("config").long("config").value_name("FILE").required(true).value_parser(value_parser!(PathBuf));
    let command =
        Command::new(program).version(env!("CARGO_PKG_VERSION")).about(about).arg(config.help("The configuration, YAML"));
    let arguments = command.get_matches_from(std::env::args_os().map(two_dashes));
    let Some(path) = arguments.get_one::<PathBuf>("config") else { return ExitCode::from(USAGE) };

    crate::logging::init("info");
    let planned =
        crate::config::load(path).and_then(|config| plan(config).map_err(|error| error.context(path.display().to_string())));
    let ended = planned.and_then(|plan| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let failed =
            |error| backup_core::Error::new(&backup_core::error::codes::INTERNAL, "no threads can be started").with_source(error);
        let runtime = runtime.map_err(failed)?;
        let ended = runtime.block_on(run::run(plan));
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

/// `-config` is `--config`: Go programs take their options with one dash.
fn two_dashes(argument: OsString) -> OsString {
    match argument.to_str() {
        Some(text) if text == "-config" || text.starts_with("-config=") => format!("-{text}").into(),
        _ => argument,
    }
}
