//! In place of the backup sidecar of etcd-operator; see `docs/etcd-sidecar.md`.

fn main() -> std::process::ExitCode {
    backup_examples::etcd_sidecar::main()
}
