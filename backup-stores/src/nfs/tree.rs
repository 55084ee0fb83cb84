//! The tree below the root: from paths to handles, and back to the start when the server forgot them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backup_core::{Error, JobContext, Result};

use super::codes::NFS_ROOT;
use super::config::NfsConfig;
use super::error::{failed, symlink};
use super::wire::{Fault, Handle, Kind, Limits, Mounted, Session, Status};
use crate::files::shown;

/// How many directories are remembered.
const REMEMBERED: usize = 1024;
/// For how long: a directory that somebody moves away is not used under its old name for longer.
const FRESH: Duration = Duration::from_secs(3);

/// A root directory on a server and what is done below it.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) session: Session,
    pub(super) limits: Limits,
    /// Whether names can be given in one step, by a second link.
    pub(super) links: bool,
    /// The path of the export, and the names from there to the root.
    export: String,
    root: Vec<String>,
    known: Mutex<Known>,
    count: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    /// Of the export. It is the one handle that is not found by a name.
    export: Option<Handle>,
    /// By path below the root, with when they were looked up.
    dirs: HashMap<String, (Handle, Duration)>,
}

impl Tree {
    /// Finds the root; makes it, and what is missing above it up to the export, when `create`.
    pub(super) async fn open(cx: &JobContext, session: Session, config: &NfsConfig, create: bool) -> Result<Self> {
        let (export, handle, mut root) = mount(cx, &session, config).await?;
        root.extend(config.path_of_root().map(str::to_owned));
        let limits = session.limits(cx, &handle).await.map_err(|fault| failed(fault, "looking at the export", &export))?;
        let known = Mutex::new(Known { export: Some(handle), ..Known::default() });
        let tree = Self { session, limits, links: limits.links, export, root, known, count: AtomicU64::new(0) };
        let found = tree.find_root(cx, create).await;
        let unusable = |why: &str| Error::new(&NFS_ROOT, format!("the root `{}` of the nfs store {why}", tree.root.join("/")));
        found.map_err(|fault| match fault {
            Fault::Status(Status::NFS3ERR_NOENT) => unusable("is not there"),
            Fault::Status(Status::NFS3ERR_NOTDIR) => unusable("is not a directory, or a file stands on the way to it"),
            fault => failed(fault, "opening the root", shown(&tree.root.join("/"))),
        })?;
        Ok(tree)
    }

    /// A number that no other writer of this store has.
    pub(super) fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }

    /// Does `work` in the directory `path`, and once more from the start when a handle on the way turns out to be stale.
    pub(super) async fn in_dir<T, F>(&self, cx: &JobContext, path: &str, work: impl Fn(Handle) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let once = async || work(self.dir(cx, path).await?).await;
        match once().await {
            Err(fault) if fault.is_stale() => {
                self.forget();
                match once().await {
                    // Not even what was looked up just now: the export itself is another one.
                    Err(fault) if fault.is_stale() => {
                        self.forget_export();
                        once().await
                    }
                    result => result,
                }
            }
            result => result,
        }
    }

    /// Like [`Tree::in_dir`], and makes the directory and what is missing above it. One that somebody removes under our feet
    /// is made again.
    pub(super) async fn in_new_dir<T, F>(&self, cx: &JobContext, path: &str, work: impl Fn(Handle) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        /// How often directories that are removed under our feet are made again.
        const ATTEMPTS: usize = 64;
        let mut last = Fault::Status(Status::NFS3ERR_STALE);
        for _ in 0..ATTEMPTS {
            let done = match self.make(cx, path).await {
                Ok(dir) => work(dir).await,
                Err(fault) => Err(fault),
            };
            match done {
                Err(fault) if fault.is_stale() || fault.is(Status::NFS3ERR_NOENT) => {
                    self.forget();
                    if fault.is_stale() {
                        self.check_export(cx).await?;
                    }
                    last = fault;
                }
                done => return done,
            }
        }
        Err(last)
    }

    /// An existing directory below the root.
    async fn dir(&self, cx: &JobContext, path: &str) -> Result<Handle, Fault> {
        if let Some(dir) = self.remembered(cx, path) {
            return Ok(dir);
        }
        let (above, name) = crate::files::split(path);
        if name.is_empty() {
            return self.find_root(cx, false).await;
        }
        // Nothing is as deep as to overflow: a key has at most 1024 bytes.
        let above = Box::pin(self.dir(cx, above)).await?;
        let dir = self.enter(cx, &above, name, path).await?;
        self.remember(cx, path, &dir);
        Ok(dir)
    }

    async fn make(&self, cx: &JobContext, path: &str) -> Result<Handle, Fault> {
        match self.dir(cx, path).await {
            Err(Fault::Status(Status::NFS3ERR_NOENT)) if !path.is_empty() => {}
            result => return result,
        }
        let (above, name) = crate::files::split(path);
        let above = Box::pin(self.make(cx, above)).await?;
        let dir = self.enter_or_make(cx, &above, name, path).await?;
        self.remember(cx, path, &dir);
        Ok(dir)
    }

    /// From the export to the root, and remembers it.
    async fn find_root(&self, cx: &JobContext, create: bool) -> Result<Handle, Fault> {
        let mut dir = self.export(cx).await?;
        for name in &self.root {
            dir = match create {
                true => self.enter_or_make(cx, &dir, name, name).await?,
                false => self.enter(cx, &dir, name, name).await?,
            };
        }
        self.remember(cx, "", &dir);
        Ok(dir)
    }

    async fn enter_or_make(&self, cx: &JobContext, above: &Handle, name: &str, path: &str) -> Result<Handle, Fault> {
        match self.enter(cx, above, name, path).await {
            Err(Fault::Status(Status::NFS3ERR_NOENT)) => {}
            result => return result,
        }
        match self.session.make_dir(cx, above, name).await {
            Ok(()) | Err(Fault::Status(Status::NFS3ERR_EXIST)) => self.enter(cx, above, name, path).await,
            Err(fault) => Err(fault),
        }
    }

    /// A directory by its name; through no symbolic link.
    async fn enter(&self, cx: &JobContext, above: &Handle, name: &str, path: &str) -> Result<Handle, Fault> {
        let found = self.session.lookup(cx, above, name).await?;
        match found.attr.kind {
            Kind::Directory => Ok(found.handle),
            Kind::Symlink => Err(Fault::Error(symlink(path))),
            Kind::File | Kind::Other => Err(Fault::Status(Status::NFS3ERR_NOTDIR)),
        }
    }

    async fn export(&self, cx: &JobContext) -> Result<Handle, Fault> {
        if let Some(export) = self.known().export.clone() {
            return Ok(export);
        }
        match self.session.mount(cx, &self.export).await? {
            Mounted::Handle(handle) => {
                self.known().export = Some(handle.clone());
                Ok(handle)
            }
            Mounted::Refused(error) => Err(Fault::Error(error)),
        }
    }

    /// Forgets the export's handle when it is stale.
    async fn check_export(&self, cx: &JobContext) -> Result<(), Fault> {
        let export = self.export(cx).await?;
        if self.session.attr(cx, &export).await.is_err_and(|fault| fault.is_stale()) {
            self.forget_export();
        }
        Ok(())
    }

    /// Forgets every handle that can be looked up again.
    pub(super) fn forget(&self) {
        self.known().dirs.clear();
    }

    fn forget_export(&self) {
        *self.known() = Known::default();
    }

    fn remembered(&self, cx: &JobContext, path: &str) -> Option<Handle> {
        let known = self.known();
        let (dir, since) = known.dirs.get(path)?;
        (cx.clock().monotonic().saturating_sub(*since) < FRESH).then(|| dir.clone())
    }

    fn remember(&self, cx: &JobContext, path: &str, dir: &Handle) {
        let mut known = self.known();
        if known.dirs.len() >= REMEMBERED {
            known.dirs.clear();
        }
        known.dirs.insert(path.to_owned(), (dir.clone(), cx.clock().monotonic()));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle of the export. Of a URL's path, of which nobody said where the export ends, it is the longest part that the server
/// gives a handle for; the rest are the first names on the way to the root.
async fn mount(cx: &JobContext, session: &Session, config: &NfsConfig) -> Result<(String, Handle, Vec<String>)> {
    let refused = match session.mount(cx, &config.export).await? {
        Mounted::Handle(handle) => return Ok((config.export.clone(), handle, Vec::new())),
        Mounted::Refused(error) => error,
    };
    let (mut path, mut rest) = (config.export.as_str(), Vec::new());
    while config.undivided
        && let Some((above, name)) = path.rsplit_once('/')
        && !name.is_empty()
    {
        rest.insert(0, name.to_owned());
        path = if above.is_empty() { "/" } else { above };
        if let Mounted::Handle(handle) = session.mount(cx, path).await? {
            return Ok((path.to_owned(), handle, rest));
        }
    }
    Err(refused)
}
