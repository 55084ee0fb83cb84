//! Where a process is at home: where its number says which process it is.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use crate::process::boot;

/// A host, one of its boots, and a namespace of process numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Home {
    host: String,
    boot: String,
    pid_namespace: u64,
}

/// How a process that was noted is seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Its number means it here, too.
    Here,
    /// This host has booted since: it is gone.
    Gone,
    /// It may run where nobody here can look.
    Elsewhere,
}

impl Home {
    pub(super) fn of_this_process() -> io::Result<Self> {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned();
        // The number of the file is that of the namespace.
        let pid_namespace = std::fs::metadata("/proc/self/ns/pid")?.ino();
        Ok(Self { host, boot: boot()?, pid_namespace })
    }

    /// How a process that is at home there is seen from this one.
    pub(super) fn sees(&self, there: &Self) -> Seen {
        match (self.boot == there.boot, self.pid_namespace == there.pid_namespace, self.host == there.host) {
            (true, true, _) => Seen::Here,
            (false, _, true) => Seen::Gone,
            _ => Seen::Elsewhere,
        }
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host {:?}, boot {}, namespace of processes {}", self.host, self.boot, self.pid_namespace)
    }
}
