//! A `br` that prints without end. In a process of its own, because it looks at the whole process.

use std::process::Command;

use super::*;
use crate::br::executor::Executor;

const HELPER: &str = "BACKUP_TEST_BR_FLOOD";
/// What it prints: 200 MB.
const FLOOD: u64 = 200_000_000;

fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn helper() {
    if std::env::var_os(HELPER).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let setup = Setup::new().await;
        setup.executor.backup(&cx(), &setup.order("small")).await.unwrap();
        setup.br.control(&format!("FLOOD={FLOOD}"));
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = memory("VmRSS");
        let done = setup.executor.backup(&cx(), &setup.order("place")).await.unwrap();
        let more = memory("VmHWM").saturating_sub(before);
        assert!(more < 16 << 20, "took {more} bytes more");
        assert_eq!(done.size, Some(41));
        let log = done.log.unwrap();
        assert!(log.len() < 128 << 10, "{} bytes are kept", log.len());
        assert!(log.contains("bytes cut out]") && log.contains("success summary"));
    });
}

#[test]
fn a_flood_and_a_line_without_end_cost_no_memory_and_hide_no_summary() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", "br::program::tests::flood::helper"]).env(HELPER, "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}
