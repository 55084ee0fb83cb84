//! In place of the backup agent that runs beside a database; see `docs/backup-agent.md`.

fn main() -> std::process::ExitCode {
    backup_examples::backup_agent::main()
}
