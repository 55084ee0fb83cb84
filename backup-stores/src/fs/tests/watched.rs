//! The real system calls, recorded, with a fault or an event at a chosen one.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::io::Errno;

use crate::fs::ops::{DirId, FileStat, FsOps, RealOps, Sys};
use crate::fs::{FsConfig, FsStore};

/// What happens at the `nth` call (from 1) of `call`, or at each when `nth` is 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) call: &'static str,
    pub(super) nth: usize,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Fail(Errno),
    /// The call takes place, and its answer is lost.
    FailAfter(Errno),
    /// Only the first byte is written.
    Short,
}

type Event = Box<dyn FnMut(&str) + Send>;

#[derive(Default)]
pub(super) struct State {
    pub(super) log: Vec<(&'static str, String)>,
    pub(super) faults: Vec<Fault>,
    pub(super) fired: usize,
    pub(super) write_backs: usize,
    /// Directories look so many seconds older.
    pub(super) aged: i64,
    /// Called before each call with its name.
    pub(super) event: Option<Event>,
}

pub(super) struct Watched {
    real: RealOps,
    root: PathBuf,
    state: Mutex<State>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

/// A store whose system calls are watched.
pub(super) fn open(root: &Path) -> (FsStore, Arc<Watched>) {
    let root = root.canonicalize().unwrap();
    let watched = Arc::new(Watched { real: RealOps { openat2: true }, root: root.clone(), state: Mutex::default() });
    let store = FsStore::open_with(&FsConfig::new(root), true, |_| watched.clone()).unwrap();
    (store, watched)
}

impl Watched {
    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The calls so far that change something, as `name path`, random parts replaced.
    pub(super) fn changes(&self) -> Vec<String> {
        let log = std::mem::take(&mut self.state().log);
        log.into_iter()
            .filter(|(call, _)| !matches!(*call, "open_dir" | "stat" | "stat_file" | "open" | "read_at"))
            .map(|(call, path)| format!("{call} {path}"))
            .collect()
    }

    fn path(&self, dir: BorrowedFd<'_>, name: &str) -> String {
        let dir = std::fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).unwrap();
        let whole = if name.is_empty() { dir } else { dir.join(name) };
        let path = whole.strip_prefix(&self.root).unwrap_or(&whole).to_str().unwrap().to_owned();
        match path.as_str() {
            "" => ".".to_owned(),
            temp if temp.contains(".tmp") => ".backup/tmp/T".to_owned(),
            _ => path,
        }
    }

    fn call<T>(&self, call: &'static str, path: String, work: impl FnOnce(bool) -> Sys<T>) -> Sys<T> {
        let event = self.state().event.take();
        if let Some(mut event) = event {
            event(call);
            self.state().event = Some(event);
        }
        let what = {
            let mut state = self.state();
            state.log.push((call, path));
            let nth = state.log.iter().filter(|(other, _)| *other == call).count();
            let fault = state.faults.iter().find(|fault| fault.call == call && (fault.nth == nth || fault.nth == 0));
            let what = fault.map(|fault| fault.what);
            state.fired += usize::from(what.is_some());
            what
        };
        match what {
            None => work(false),
            Some(What::Short) => work(true),
            Some(What::Fail(errno)) => Err(errno),
            Some(What::FailAfter(errno)) => work(false).and(Err(errno)),
        }
    }
}

impl FsOps for Watched {
    fn open_dir(&self, base: BorrowedFd<'_>, path: &str) -> Sys<OwnedFd> {
        self.call("open_dir", self.path(base, path), |_| self.real.open_dir(base, path))
    }
    fn make_dir(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<()> {
        self.call("make_dir", self.path(dir, name), |_| self.real.make_dir(dir, name))
    }
    fn remove_dir(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<()> {
        self.call("remove_dir", self.path(dir, name), |_| self.real.remove_dir(dir, name))
    }
    fn dir_id(&self, dir: BorrowedFd<'_>) -> Option<DirId> {
        let mut id = self.real.dir_id(dir)?;
        id.born.0 -= self.state().aged;
        Some(id)
    }
    fn sync_dir(&self, dir: BorrowedFd<'_>) -> Sys<()> {
        self.call("sync_dir", self.path(dir, ""), |_| self.real.sync_dir(dir))
    }
    fn create(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<OwnedFd> {
        self.call("create", self.path(dir, name), |_| self.real.create(dir, name))
    }
    fn write(&self, file: BorrowedFd<'_>, data: &[u8]) -> Sys<usize> {
        self.call("write", self.path(file, ""), |short| self.real.write(file, if short { &data[..1] } else { data }))
    }
    fn start_write_back(&self, file: BorrowedFd<'_>) {
        self.state().write_backs += 1;
        self.real.start_write_back(file);
    }
    fn sync_file(&self, file: BorrowedFd<'_>) -> Sys<()> {
        self.call("sync_file", self.path(file, ""), |_| self.real.sync_file(file))
    }
    fn open(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<OwnedFd> {
        self.call("open", self.path(dir, name), |_| self.real.open(dir, name))
    }
    fn read_at(&self, file: BorrowedFd<'_>, buffer: &mut Vec<u8>, offset: u64) -> Sys<usize> {
        self.call("read_at", self.path(file, ""), |_| self.real.read_at(file, buffer, offset))
    }
    fn link(&self, from: (BorrowedFd<'_>, &str), to: (BorrowedFd<'_>, &str)) -> Sys<()> {
        self.call("link", self.path(to.0, to.1), |_| self.real.link(from, to))
    }
    fn rename(&self, from: (BorrowedFd<'_>, &str), to: (BorrowedFd<'_>, &str), replace: bool) -> Sys<()> {
        let call = if replace { "rename" } else { "rename_new" };
        self.call(call, self.path(to.0, to.1), |_| self.real.rename(from, to, replace))
    }
    fn unlink(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<()> {
        self.call("unlink", self.path(dir, name), |_| self.real.unlink(dir, name))
    }
    fn stat(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<FileStat> {
        self.call("stat", self.path(dir, name), |_| self.real.stat(dir, name))
    }
    fn stat_file(&self, file: BorrowedFd<'_>) -> Sys<FileStat> {
        self.call("stat_file", self.path(file, ""), |_| self.real.stat_file(file))
    }
}
