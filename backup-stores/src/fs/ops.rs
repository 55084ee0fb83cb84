//! The system calls the store is made of, as a trait, so that tests can watch their order and make each of them fail.

use std::fmt::Debug;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use chrono::{DateTime, Utc};
use rustix::buffer::spare_capacity;
use rustix::fs::{self, Advice, AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, StatxFlags};
use rustix::io::{self, Errno, retry_on_intr};

/// The result of a system call.
pub(super) type Sys<T> = Result<T, Errno>;

/// What the store wants to know of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileStat {
    pub(super) kind: FileType,
    pub(super) size: u64,
    pub(super) modified: Option<DateTime<Utc>>,
    /// How many names it has.
    pub(super) links: u64,
    /// Device and inode: the same file or another.
    pub(super) id: (u64, u64),
}

/// A directory's identity over time: device, inode, time of birth. An inode number alone is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct DirId {
    pub(super) device: (u32, u32),
    pub(super) inode: u64,
    /// Seconds since 1970, and nanoseconds.
    pub(super) born: (i64, u32),
}

/// One system call each, relative to an open directory. Names are single segments, except in `open_dir`.
pub(super) trait FsOps: Send + Sync + Debug {
    /// Opens the directory `path` (several segments, empty for `base` itself), through no symbolic link and below `base`.
    fn open_dir(&self, base: BorrowedFd<'_>, path: &str) -> Sys<OwnedFd>;
    fn make_dir(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<()>;
    fn remove_dir(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<()>;
    fn dir_id(&self, dir: BorrowedFd<'_>) -> Option<DirId>;
    fn sync_dir(&self, dir: BorrowedFd<'_>) -> Sys<()>;
    /// Creates a file for writing; it must not exist.
    fn create(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<OwnedFd>;
    fn write(&self, file: BorrowedFd<'_>, data: &[u8]) -> Sys<usize>;
    /// Starts writing to the disk what was written to `file` so far, and gives back the memory of what is there already.
    fn start_write_back(&self, file: BorrowedFd<'_>);
    fn sync_file(&self, file: BorrowedFd<'_>) -> Sys<()>;
    /// Opens a file for reading from start to end.
    fn open(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<OwnedFd>;
    /// Reads into the free capacity of `buffer`.
    fn read_at(&self, file: BorrowedFd<'_>, buffer: &mut Vec<u8>, offset: u64) -> Sys<usize>;
    fn link(&self, from: (BorrowedFd<'_>, &str), to: (BorrowedFd<'_>, &str)) -> Sys<()>;
    fn rename(&self, from: (BorrowedFd<'_>, &str), to: (BorrowedFd<'_>, &str), replace: bool) -> Sys<()>;
    fn unlink(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<()>;
    fn stat(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<FileStat>;
    fn stat_file(&self, file: BorrowedFd<'_>) -> Sys<FileStat>;
}

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The kernel's own.
#[derive(Debug)]
pub(super) struct RealOps {
    /// Whether the kernel resolves a whole path below a directory by itself (Linux 5.6, and no seccomp filter against it).
    pub(super) openat2: bool,
}

impl RealOps {
    /// Looks what the kernel can, at any directory.
    pub(super) fn probe(dir: BorrowedFd<'_>) -> Self {
        Self { openat2: open_beneath(dir, ".").is_ok() }
    }
}

fn open_beneath(base: BorrowedFd<'_>, path: &str) -> Sys<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match fs::openat2(base, path, DIR, Mode::empty(), resolve) {
            // AGAIN: something was renamed on the way, and the kernel could not tell that the path stayed below.
            Err(Errno::INTR | Errno::AGAIN) => {}
            result => return result,
        }
    }
}

/// One segment. With both flags the kernel says NOTDIR for a symbolic link too, so that has to be told apart.
fn open_segment(base: BorrowedFd<'_>, name: &str) -> Sys<OwnedFd> {
    match retry_on_intr(|| fs::openat(base, name, DIR | OFlags::NOFOLLOW, Mode::empty())) {
        Err(Errno::NOTDIR) => match fs::statat(base, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => Err(Errno::LOOP),
            _ => Err(Errno::NOTDIR),
        },
        result => result,
    }
}

impl FsOps for RealOps {
    fn open_dir(&self, base: BorrowedFd<'_>, path: &str) -> Sys<OwnedFd> {
        if path.is_empty() {
            return retry_on_intr(|| fs::openat(base, ".", DIR, Mode::empty()));
        }
        if self.openat2 {
            return open_beneath(base, path);
        }
        let mut segments = path.split('/');
        let mut dir = open_segment(base, segments.next().unwrap_or(path))?;
        for segment in segments {
            dir = open_segment(dir.as_fd(), segment)?;
        }
        Ok(dir)
    }

    fn make_dir(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<()> {
        retry_on_intr(|| fs::mkdirat(dir, name, Mode::RWXU))
    }

    fn remove_dir(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<()> {
        retry_on_intr(|| fs::unlinkat(dir, name, AtFlags::REMOVEDIR))
    }

    fn dir_id(&self, dir: BorrowedFd<'_>) -> Option<DirId> {
        let stat = fs::statx(dir, "", AtFlags::EMPTY_PATH, StatxFlags::INO | StatxFlags::BTIME).ok()?;
        let born = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
        born.then_some(DirId {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            born: (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec),
        })
    }

    fn sync_dir(&self, dir: BorrowedFd<'_>) -> Sys<()> {
        retry_on_intr(|| fs::fsync(dir))
    }

    fn create(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<OwnedFd> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        retry_on_intr(|| fs::openat(dir, name, flags, Mode::RUSR | Mode::WUSR))
    }

    fn write(&self, file: BorrowedFd<'_>, data: &[u8]) -> Sys<usize> {
        retry_on_intr(|| io::write(file, data))
    }

    fn start_write_back(&self, file: BorrowedFd<'_>) {
        // Linux starts the write-back of dirty pages before it drops the clean ones, and waits for none: what
        // `sync_file_range` would do. Advice only; an error of the disk is told by the fsync at the end.
        let _ = fs::fadvise(file, 0, None, Advice::DontNeed);
    }

    fn sync_file(&self, file: BorrowedFd<'_>) -> Sys<()> {
        retry_on_intr(|| fs::fsync(file))
    }

    fn open(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<OwnedFd> {
        // NONBLOCK: a pipe that somebody put there must not hang the open; for regular files it means nothing.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = retry_on_intr(|| fs::openat(dir, name, flags, Mode::empty()))?;
        // Advice only: without it the read is slower, not wrong.
        let _ = fs::fadvise(&file, 0, None, Advice::Sequential);
        Ok(file)
    }

    fn read_at(&self, file: BorrowedFd<'_>, buffer: &mut Vec<u8>, offset: u64) -> Sys<usize> {
        retry_on_intr(|| io::pread(file, spare_capacity(buffer), offset))
    }

    fn link(&self, from: (BorrowedFd<'_>, &str), to: (BorrowedFd<'_>, &str)) -> Sys<()> {
        retry_on_intr(|| fs::linkat(from.0, from.1, to.0, to.1, AtFlags::empty()))
    }

    fn rename(&self, from: (BorrowedFd<'_>, &str), to: (BorrowedFd<'_>, &str), replace: bool) -> Sys<()> {
        if replace {
            return retry_on_intr(|| fs::renameat(from.0, from.1, to.0, to.1));
        }
        retry_on_intr(|| fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE))
    }

    fn unlink(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<()> {
        retry_on_intr(|| fs::unlinkat(dir, name, AtFlags::empty()))
    }

    fn stat(&self, dir: BorrowedFd<'_>, name: &str) -> Sys<FileStat> {
        retry_on_intr(|| fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)).map(|stat| convert(&stat))
    }

    fn stat_file(&self, file: BorrowedFd<'_>) -> Sys<FileStat> {
        retry_on_intr(|| fs::fstat(file)).map(|stat| convert(&stat))
    }
}

// The widths of these fields differ between architectures.
#[allow(clippy::unnecessary_cast)]
fn convert(stat: &fs::Stat) -> FileStat {
    FileStat {
        kind: FileType::from_raw_mode(stat.st_mode),
        size: stat.st_size as u64,
        modified: DateTime::from_timestamp(stat.st_mtime as i64, stat.st_mtime_nsec as u32),
        links: stat.st_nlink as u64,
        id: (stat.st_dev as u64, stat.st_ino as u64),
    }
}
