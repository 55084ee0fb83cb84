//! A process group that can be told from all others, even after this process is gone.

use std::io;
use std::time::Duration;

use backup_core::JobContext;
use rustix::process::Pid;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::members::{any, stat};

/// How often it is looked whether a group is gone. Its members are nobody's children that could be waited for.
const LOOK: Duration = Duration::from_millis(20);
/// How long killed processes may take to be gone.
const DYING: Duration = Duration::from_secs(10);

/// The identity of a process group: its number, and what keeps another group of that number from being taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupId {
    leader: i32,
    /// When the leader started, in ticks since the boot.
    started: u64,
    session: i32,
    /// Which boot that was.
    boot: String,
}

impl GroupId {
    /// The group that `leader` leads. It has to be unreaped.
    pub(crate) fn of(leader: Pid) -> io::Result<Self> {
        let leader = leader.as_raw_nonzero().get();
        let stat = stat(leader).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { leader, started: stat.started, session: stat.session, boot: boot()? })
    }

    /// Whether a process of the group runs.
    pub(crate) fn runs(&self) -> bool {
        if !boot().is_ok_and(|boot| boot == self.boot) {
            return false;
        }
        // The number names another group only after the last member of this one was gone; then its leader started later.
        if stat(self.leader).is_some_and(|leader| leader.started != self.started) {
            return false;
        }
        any(|stat| stat.group == self.leader && stat.session == self.session && stat.started >= self.started && !stat.zombie)
    }

    /// Asks the group to end, kills it after `grace`, and waits until it is gone.
    pub(crate) async fn end(&self, cx: &JobContext, grace: Duration) {
        for (signal, limit) in [(Signal::TERM, grace), (Signal::KILL, DYING)] {
            let Some(leader) = Pid::from_raw(self.leader).filter(|_| self.runs()) else { return };
            // It may be gone meanwhile.
            let _ = rustix::process::kill_process_group(leader, signal);
            let until = cx.clock().monotonic().saturating_add(limit);
            while self.runs() && cx.clock().monotonic() < until {
                cx.clock().sleep(LOOK).await;
            }
        }
        if self.runs() {
            tracing::warn!(group = self.leader, "a process group left behind does not die");
        }
    }
}

/// Which boot of the host this is.
pub(crate) fn boot() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}
