//! What the kernel says of processes and of the machine (proc(5)).

use std::fs;
use std::time::Duration;

/// The kernel counts processor time in hundredths of a second for user space.
const TICK: Duration = Duration::from_millis(10);

/// The most memory this process has had so far, in KiB (`VmHWM`).
pub fn peak_kib() -> u64 {
    status_kib("/proc/self/status", "VmHWM:")
}

/// The most memory that a process has had so far, in KiB.
pub fn peak_kib_of(pid: u32) -> u64 {
    status_kib(&format!("/proc/{pid}/status"), "VmHWM:")
}

/// The memory that a process has now, in KiB (`VmRSS`).
pub fn resident_kib(pid: u32) -> u64 {
    status_kib(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// The memory that a process and its children have now, in KiB.
pub fn family_kib(pid: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok()).map(resident_kib);
    resident_kib(pid) + children.sum::<u64>()
}

fn status_kib(path: &str, field: &str) -> u64 {
    let status = fs::read_to_string(path).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Processor time of this process' children that ended and were waited for.
pub fn children_cpu() -> Duration {
    stat_fields("/proc/self/stat", 15..17)
}

/// Processor time of a running process.
pub fn cpu_of(pid: u32) -> Duration {
    stat_fields(&format!("/proc/{pid}/stat"), 13..15)
}

/// The sum of some fields, counted from 0 as proc(5) does from 1.
fn stat_fields(path: &str, fields: std::ops::Range<usize>) -> Duration {
    let stat = fs::read_to_string(path).unwrap_or_default();
    // The second field is the program's name, and may hold anything.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let values = rest.split_whitespace().skip(fields.start - 2).take(fields.len());
    TICK * values.filter_map(|value| value.parse::<u32>().ok()).sum::<u32>()
}

/// Processor time that all processors together were busy since the machine started.
pub fn machine_busy() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let values: Vec<u64> =
        stat.lines().next().unwrap_or_default().split_whitespace().filter_map(|value| value.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let busy: u64 = values.iter().enumerate().filter(|(at, _)| ![3, 4].contains(at) && *at < 8).map(|(_, value)| value).sum();
    TICK * u32::try_from(busy).unwrap_or(u32::MAX)
}

/// The load average of the last minute.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("?").to_owned()
}
