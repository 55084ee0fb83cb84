//! The command line over any repository; see `docs/backupctl.md`.

fn main() -> std::process::ExitCode {
    backup_examples::backupctl::main()
}
