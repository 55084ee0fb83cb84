//! In place of the backups of TiUniManager; see `docs/tidb.md`.

fn main() -> std::process::ExitCode {
    backup_examples::tidb_backup::main()
}
