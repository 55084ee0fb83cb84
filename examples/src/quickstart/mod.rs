//! The program `quickstart`: something real is backed up, proven and restored, in front of your eyes.
//!
//! `directory` backs up a directory through `tar`, `cluster` an etcd that it starts for the purpose. Both read top-down
//! as a list of steps, each a call of the library.

mod arguments;
#[cfg(feature = "demo-etcd")]
mod cluster;
mod directory;
mod failure;
pub(crate) mod interrupt;
#[cfg(feature = "demo-etcd")]
mod outside;
mod scratch;
mod session;
pub(crate) mod text;
mod tree;
mod ui;

use std::ffi::OsString;
use std::process::ExitCode;

use arguments::Arguments;
use failure::Failure;
use session::Session;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let result = match Arguments::parse(&arguments) {
        Ok(Arguments::Help) => {
            print!("{}", arguments::HELP);
            Ok(())
        }
        Ok(Arguments::Directory(path)) => run(async |session| directory::run(session, &path).await),
        Ok(Arguments::Cluster) => demonstrate_cluster(),
        Err(failure) => Err(failure),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\n{failure}");
            failure.exit_code()
        }
    }
}

#[cfg(feature = "demo-etcd")]
fn demonstrate_cluster() -> Result<(), Failure> {
    run(cluster::run)
}

#[cfg(not(feature = "demo-etcd"))]
fn demonstrate_cluster() -> Result<(), Failure> {
    Err(Failure::new("this quickstart was built without etcd").advise("run: make demo\nor back up a directory: quickstart PATH"))
}

fn run(steps: impl AsyncFnOnce(&Session) -> Result<(), Failure>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let session = Session::new()?;
        steps(&session).await
    })
}
