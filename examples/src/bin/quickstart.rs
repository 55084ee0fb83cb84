//! Backs something up, proves it, brings it back: see `quickstart --help`.

fn main() -> std::process::ExitCode {
    backup_examples::quickstart::main()
}
