//! The program `rbd` with gates before and behind it, and a saw: it waits, or breaks off half-way, where a test says so.

use std::fs;
use std::path::{Path, PathBuf};

use backup_core::testkit::write_program;

use crate::openstack::OpenStack;
use crate::server::{Place, until};

/// The keys of `volume-access: { rbd: … }` that name it.
const PROGRAM: &str = "program: HOME/rbd, ";

const SCRIPT: &str = r#"#!/bin/sh
PATH=/usr/local/bin:/usr/bin:/bin
words=$*
case $words in
*" snap rollback "*) work=rollback ;;
*" import-diff "*) work=import ;;
*" export-diff "*) work=export ;;
*) work=look ;;
esac
told() {
    for file in "HOME/stops/$work".*."$1"; do
        volume=${file#"HOME/stops/$work."}
        volume=${volume%".$1"}
        case $words in
        *"$volume"*) [ ! -e "$file" ] || return 0 ;;
        esac
    done
    return 1
}
# What is killed with the server does nothing more, as on a machine that fails.
stop() {
    told "$1" || return 0
    : >"$file.reached"
    while [ -e "$file" ] && [ -d "/proc/$PPID" ]; do sleep 0.05; done
    [ -d "/proc/$PPID" ] || exit 1
}
stop before
if told broken; then
    # Half of what comes is written.
    [ $work != import ] || head -c 3000000 | rbd "$@" 2>/dev/null
    echo "rbd: broken by a test" >&2
    exit 5
fi
told after || exec rbd "$@"
rbd "$@"
code=$?
stop after
exit $code
"#;

/// What `rbd` is asked to do.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    Rollback,
    Import,
    Export,
    /// Everything else.
    Look,
}

/// Where it waits.
#[derive(Debug, Clone, Copy)]
pub enum At {
    Before,
    After,
}

/// The program of a [`Place`]. A volume without a name stands for each.
pub struct Rbd {
    stops: PathBuf,
}

impl Rbd {
    /// A place whose server uses it.
    pub fn place(stack: &OpenStack, store: &str, more: &str) -> (Place, Self) {
        let place = Place::with(stack, store, PROGRAM, more);
        let (program, stops) = (place.home().join("rbd"), place.home().join("stops"));
        fs::create_dir(&stops).unwrap();
        write_program(&program, &SCRIPT.replace("HOME", place.home().to_str().unwrap()));
        (place, Self { stops })
    }

    fn file(&self, work: Work, volume: &str, how: &str) -> PathBuf {
        self.stops.join(format!("{}.{volume}.{how}", format!("{work:?}").to_lowercase()))
    }

    fn gate(&self, at: At, work: Work, volume: &str) -> PathBuf {
        self.file(work, volume, &format!("{at:?}").to_lowercase())
    }

    /// Work on this volume waits from now on.
    pub fn hold(&self, at: At, work: Work, volume: &str) {
        fs::write(self.gate(at, work, volume), "").unwrap();
    }

    /// Returns when it does.
    pub async fn held(&self, at: At, work: Work, volume: &str) {
        let reached = reached(&self.gate(at, work, volume));
        until("rbd is held", async || reached.exists()).await;
    }

    /// It goes on.
    pub fn release(&self, at: At, work: Work, volume: &str) {
        let gate = self.gate(at, work, volume);
        fs::remove_file(&gate).unwrap();
        fs::remove_file(reached(&gate)).unwrap();
    }

    /// Work on this volume fails from now on.
    pub fn saw(&self, work: Work, volume: &str) {
        fs::write(self.file(work, volume, "broken"), "").unwrap();
    }

    /// It works again.
    pub fn mend(&self, work: Work, volume: &str) {
        fs::remove_file(self.file(work, volume, "broken")).unwrap();
    }

    /// Nothing is held any more.
    pub fn clear(&self) {
        for file in fs::read_dir(&self.stops).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
}

fn reached(gate: &Path) -> PathBuf {
    let mut name = gate.as_os_str().to_owned();
    name.push(".reached");
    PathBuf::from(name)
}
