//! An `rbd` whose rollbacks wait where a test wants them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::openstack::OpenStack;
use crate::server::until;

/// What is killed with the server does nothing more, as on a machine that fails.
const PROGRAM: &str = r#"#!/bin/sh
stops=${0%/*}/stops
words=$*
stop() {
    for file in "$stops"/*."$1"; do
        volume=${file##*/}
        volume=${volume%.*}
        case $words in
        *rollback*"$volume"*)
            : >"$file.reached"
            while [ -e "$file" ] && [ -d "/proc/$PPID" ]; do sleep 0.1; done
            [ -d "/proc/$PPID" ] || exit 1
            ;;
        esac
    done
}
stop before
rbd "$@"
code=$?
stop after
exit $code
"#;

pub struct HeldRbd {
    program: PathBuf,
    stops: PathBuf,
}

/// When a rollback waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Before,
    After,
}

impl HeldRbd {
    /// In a directory of the test's own.
    pub fn new(home: &Path) -> Self {
        let held = Self { program: home.join("rbd"), stops: home.join("stops") };
        std::fs::create_dir(&held.stops).unwrap();
        std::fs::write(&held.program, PROGRAM).unwrap();
        std::fs::set_permissions(&held.program, std::fs::Permissions::from_mode(0o755)).unwrap();
        held
    }

    /// The block `volume-access`.
    pub fn access(&self, stack: &OpenStack) -> String {
        let (program, conf, pool) = (self.program.display(), stack.ceph_conf(), stack.pool());
        format!("{{ rbd: {{ program: {program}, conf: {}, pools: [{pool}] }} }}", conf.display())
    }

    fn file(&self, volume: &str, at: At) -> PathBuf {
        let at = if at == At::Before { "before" } else { "after" };
        self.stops.join(format!("{volume}.{at}"))
    }

    /// The next rollbacks of a volume wait.
    pub fn hold(&self, volume: &str, at: At) {
        std::fs::write(self.file(volume, at), "").unwrap();
    }

    /// Waits until one does.
    pub async fn reached(&self, volume: &str, at: At) {
        let mut file = self.file(volume, at).into_os_string();
        file.push(".reached");
        until("the rollback waits", async || Path::new(&file).exists()).await;
    }

    /// Lets it go on.
    pub fn open(&self, volume: &str, at: At) {
        std::fs::remove_file(self.file(volume, at)).unwrap();
    }

    /// Nothing is held any more.
    pub fn clear(&self) {
        for file in std::fs::read_dir(&self.stops).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}
