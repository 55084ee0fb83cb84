//! Backups of OpenStack's volumes and instances; see `docs/volume-backup.md`.

fn main() -> std::process::ExitCode {
    backup_examples::volume_backup::main()
}
