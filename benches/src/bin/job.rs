//! One job through the public interface: `job backup-etcd|backup-file|backup-command|verify|seed|list|latest …`. Prints one JSON
//! object with its own time and memory.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match backup_benches::job::run(&arguments).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("job: {error}");
            ExitCode::FAILURE
        }
    }
}
