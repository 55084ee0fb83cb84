//! A script that prints without end. One test alone, because it looks at the whole process.
#![cfg(all(feature = "script", target_os = "linux"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use backup_core::Source;
use backup_sources::script::{LogLimits, Stage};
use support::scripts::Scripts;
use support::{RecordingSink, context};

/// Bytes a script floods: 200 MB, or 1 GB.
fn flood() -> u64 {
    if std::env::var_os("BACKUP_TEST_LONG").is_some() { 1_000_000_000 } else { 200_000_000 }
}

fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_floods_its_output_costs_neither_memory_nor_disk() {
    let scripts = Scripts::new();
    let half = flood() / 2;
    scripts.put(
        Stage::PreBackupCheck,
        &format!("yes 'a line of the flood' | head -c {half}; tr '\\0' x < /dev/zero | head -c {half} >&2"),
    );
    let mut config = scripts.config();
    config.log = LogLimits::new(256 << 10, 256 << 10);
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    let source = scripts.source_of(config);
    source.capture(&context(), &RecordingSink::default()).await.unwrap();
    let more = memory("VmHWM").saturating_sub(before);
    assert!(more < 32 << 20, "took {more} bytes more");
    let report = scripts.watch.stages().into_iter().find(|report| report.stage == Stage::PreBackupCheck).unwrap();
    let (out, err) = (report.stdout.unwrap(), report.stderr.unwrap());
    assert!(out.starts_with("a line of the flood\n") && out.len() < 530 << 10);
    assert!(out.contains(&format!("[{} bytes cut out]", half - (512 << 10))), "the note is missing");
    assert!(
        err.ends_with(&format!("[{} bytes of this line cut out]", half - (8 << 10))) && err.len() < 9 << 10,
        "the line was not cut"
    );
}
