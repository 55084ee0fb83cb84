//! Runs the comparison with other tools: `compare --help`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match backup_benches::compare::main().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
