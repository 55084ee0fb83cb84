//! In place of cybozu's etcd-backup; see `docs/etcd-backup.md`.

fn main() -> std::process::ExitCode {
    backup_examples::etcd_backup::main()
}
