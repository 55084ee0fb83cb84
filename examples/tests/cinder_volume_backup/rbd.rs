//! The program `rbd` with a gate before it, and a saw: it waits, or breaks off half-way, where a test says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::openstack::OpenStack;
use crate::server::{Place, until};

/// The keys of `volume-access: { rbd: … }` that name it.
const PROGRAM: &str = "program: HOME/rbd, ";

const SCRIPT: &str = r#"#!/bin/sh
PATH=/usr/local/bin:/usr/bin:/bin
said=$*
case "$said" in
    *" snap rollback "*) what=rollback ;;
    *" import-diff "*) what=import ;;
    *" export-diff "*) what=export ;;
    *) what=look ;;
esac
wanted() {
    of=$(cat "HOME/$1-$what" 2>/dev/null) || return 1
    case "$said" in *"$of"*) return 0 ;; esac
    return 1
}
if wanted hold; then
    : >"HOME/held-$what"
    while wanted hold; do sleep 0.05; done
fi
if wanted break; then
    # Half of what comes is written.
    [ $what != import ] || head -c 3000000 | rbd "$@" 2>/dev/null
    echo "rbd: broken by a test" >&2
    exit 5
fi
exec rbd "$@"
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

impl Work {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rollback => "rollback",
            Self::Import => "import",
            Self::Export => "export",
            Self::Look => "look",
        }
    }
}

/// The program of a [`Place`].
pub struct Rbd {
    home: PathBuf,
}

impl Rbd {
    /// A place whose server uses it.
    pub fn place(stack: &OpenStack, store: &str, more: &str) -> (Place, Self) {
        let place = Place::with(stack, store, PROGRAM, more);
        let home = place.home().to_owned();
        let program = home.join("rbd");
        fs::write(&program, SCRIPT.replace("HOME", home.to_str().unwrap())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (place, Self { home })
    }

    fn file(&self, how: &str, work: Work) -> PathBuf {
        self.home.join(format!("{how}-{}", work.as_str()))
    }

    /// Work on this volume waits from now on.
    pub fn hold(&self, work: Work, volume: &str) {
        fs::write(self.file("hold", work), volume).unwrap();
    }

    /// Returns when something waits.
    pub async fn held(&self, work: Work) {
        let held = self.file("held", work);
        until("rbd is held", async || held.exists()).await;
    }

    /// What waits goes on.
    pub fn release(&self, work: Work) {
        remove(&self.file("hold", work));
        remove(&self.file("held", work));
    }

    /// Work on this volume fails from now on.
    pub fn saw(&self, work: Work, volume: &str) {
        fs::write(self.file("break", work), volume).unwrap();
    }

    /// It works again.
    pub fn mend(&self, work: Work) {
        remove(&self.file("break", work));
    }
}

fn remove(file: &Path) {
    fs::remove_file(file).unwrap();
}
