//! Who is in a process group, as `/proc` says.

use rustix::process::Pid;

/// What `/proc/<pid>/stat` says.
#[cfg_attr(
    not(any(feature = "br", feature = "script")),
    allow(dead_code, reason = "identities of groups are not kept for etcdutl")
)]
pub(super) struct Stat {
    /// It ended, and nobody has reaped it yet.
    pub(super) zombie: bool,
    pub(super) group: i32,
    pub(super) session: i32,
    /// When it started, in ticks since the boot.
    pub(super) started: u64,
}

/// Whether a process of the group with this number runs. The dead that nobody has reaped yet do not.
pub(super) fn lives(leader: Pid) -> bool {
    let leader = leader.as_raw_nonzero().get();
    any(|stat| stat.group == leader && !stat.zombie)
}

/// Whether there is a process like this.
pub(super) fn any(wanted: impl Fn(&Stat) -> bool) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    let mut pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.any(|pid| stat(pid).is_some_and(|stat| wanted(&stat)))
}

pub(super) fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold anything. After it: state ppid pgrp session …, the start is the 22nd of all.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<i64>().ok();
    Some(Stat {
        zombie: matches!(*fields.first()?, "Z" | "X"),
        group: number(2)?.try_into().ok()?,
        session: number(3)?.try_into().ok()?,
        started: number(19)?.try_into().ok()?,
    })
}
