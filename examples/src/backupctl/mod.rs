//! The program `backupctl`: lists, checks, restores and tidies what lies in a repository, with or without its server.
//!
//! `docs/backupctl.md` is its reference. Each verb is a file of its own.

mod arguments;
mod failure;
mod janitor;
mod list;
mod open;
mod output;
mod pin;
mod prune;
mod rebuild;
mod record;
mod restore;
mod session;
mod show;
mod table;
mod verify;
mod volume;

use std::process::ExitCode;

use clap::Parser;

pub use arguments::command;
use arguments::{Arguments, Verb};
use failure::Failure;
use session::Session;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    crate::logging::init("warn");
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::from(error).report(),
    };
    let result = runtime.block_on(async { run(&Session::new(&arguments)?, arguments.verb).await });
    // A question that nobody answered may still wait for a line of standard input.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(session: &Session, verb: Verb) -> Result<(), Failure> {
    match verb {
        Verb::List(of) => list::run(session, of).await,
        Verb::Show(of) => show::run(session, of).await,
        Verb::Verify(of) => verify::run(session, of).await,
        Verb::Restore(of) => restore::run(session, of).await,
        Verb::Record(of) => record::run(session, of).await,
        Verb::Prune(of) => prune::run(session, of).await,
        Verb::Pin(of) => pin::pin(session, of).await,
        Verb::Unpin(of) => pin::unpin(session, of).await,
        Verb::Janitor(of) => janitor::run(session, of).await,
        Verb::Rebuild(of) => rebuild::run(session, of).await,
    }
}
